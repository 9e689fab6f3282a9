"""A file to fetch, and what a test expects of it."""

import hashlib
import random
from dataclasses import replace
from pathlib import Path

import pytest

from mtdc.errors import DataError
from mtdc.zoo import download
from mtdc.zoo.download import fetch

CONTENT = random.Random(0).randbytes(300_001)
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = random.Random(1).randbytes(SIZE)


def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own, no proxy, and little patience."""
    for name in ("MTDC_MIRROR", "MTDC_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MTDC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "LIMITS", replace(download.LIMITS, idle_s=20.0, attempts=3, pause_s=0.0))
    return tmp_path / "cache"


def taken(url: str, size: int | None = SIZE, sha256: str = SHA256) -> Path:
    """Fetch, and find the file and nothing else in the cache."""
    path = fetch(url, sha256, size, name="weights")
    assert path.read_bytes() == CONTENT
    left = {file.name for file in path.parent.iterdir()}
    assert left <= {path.name, f"{SHA256}.lock"}, "a part was left beside the file"
    return path


def refused(url: str, *words: object, size: int | None = SIZE, sha256: str = SHA256) -> str:
    """Fail to fetch, with one line that holds these words."""
    with pytest.raises(DataError) as caught:
        fetch(url, sha256, size, name="weights")
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert str(word) in text, text
    return text


def part(folder: Path) -> Path:
    """What has come so far."""
    return folder / f"{SHA256}.part"
