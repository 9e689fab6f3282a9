"""Checkpoint files, broken or made to do harm."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mtdc.engine.archive import load_archive
from mtdc.errors import DataError

PLAIN = {
    "weights": torch.arange(6.0).reshape(2, 3),
    "half": torch.ones(2, dtype=torch.bfloat16),
    "meta": {"epoch": 3, "none": None},
}


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def entries(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(files, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return file.getvalue()


@pytest.fixture
def whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(PLAIN, "a.pth")
    return Path("a.pth").read_bytes()


def refusal(content):
    Path("a.pth").write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_archive(Path("a.pth"))
    assert "a.pth" in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_plain_values_are_loaded(whole):
    loaded = load_archive(Path("a.pth"))
    assert torch.equal(loaded["weights"], PLAIN["weights"]) and loaded["half"].dtype == torch.bfloat16
    assert loaded["meta"] == PLAIN["meta"]
    Path("a.pth").write_bytes(archive_of(entries(whole)))  # the tests' own way to write one
    assert torch.equal(load_archive(Path("a.pth"))["weights"], PLAIN["weights"])


def test_every_damaged_byte_of_the_content_is_seen(whole):
    body = next(body for name, body in entries(whole).items() if name.endswith("data/0"))
    start = whole.index(body)
    for position in range(start, start + len(body)):
        broken = bytearray(whole)
        broken[position] ^= 1
        assert "CRC" in refusal(bytes(broken))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_calls_are_refused_and_not_made(whole, protocol):
    files = entries(whole)
    (name,) = (name for name in files if name.endswith("data.pkl"))
    for call in (Calls(os.mkdir, "EXECUTED"), Calls(eval, "open('EXECUTED', 'w')"), Calls(bytearray, 1 << 40)):
        files[name] = pickle.dumps({"state_dict": {}, "meta": call}, protocol=protocol)
        text = refusal(archive_of(files))
        assert "not a checkpoint" in text
    assert not Path("EXECUTED").exists()


def test_archives_that_unpack_to_more_or_hold_things_twice(whole):
    assert "packed zip file" in refusal(archive_of({**entries(whole), "a/data/9": bytes(10**7)}, zipfile.ZIP_DEFLATED))
    files = entries(whole)
    with pytest.warns(UserWarning, match="Duplicate"):
        file = io.BytesIO(whole)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(next(iter(files)), b"again")
    assert "two entries of one name" in refusal(file.getvalue())
    assert "0 entries 'data.pkl'" in refusal(archive_of({"a.txt": b"hello"}))


def test_sizes_that_a_pickle_claims_are_not_believed(whole):
    files = entries(whole)
    (name,) = (name for name in files if name.endswith("data.pkl"))
    claimed = files[name].replace(b"K\x06t", b"J\x00\x00\x00\x40t", 1)  # 6 numbers become a billion
    assert claimed != files[name]
    assert "not a whole one" in refusal(archive_of({**files, name: claimed}))


def test_what_else_torch_saves_is_refused(whole):
    torch.save(PLAIN, "a.pth", _use_new_zipfile_serialization=False)
    assert "not a checkpoint" in refusal(Path("a.pth").read_bytes())
    torch.save({"a": np.ones(3)}, "a.pth")
    assert "it holds 'numpy" in refusal(Path("a.pth").read_bytes())
    torch.save(torch.nn.Linear(1, 1), "a.pth")
    assert "it holds '" in refusal(Path("a.pth").read_bytes())
