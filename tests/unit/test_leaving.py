"""Which of several processes says why a run ends: the first, once, whatever becomes of the store that they share."""

import pytest
import torch

from mtdc.engine import distributed


class Gone:
    """A store whose process has ended."""

    def compare_set(self, *_):
        raise RuntimeError("Connection reset by peer")


def leave(monkeypatch, store, rank, error, told):
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "_LINGER_S", 0.0)
    distributed._leave(store, error, told)


def test_who_was_told_to_end_is_silent_where_the_store_is_gone(monkeypatch):
    with pytest.raises(SystemExit) as caught:
        leave(monkeypatch, Gone(), 1, KeyboardInterrupt(), told=True)
    assert caught.value.code == 130


def test_who_finds_the_store_gone_by_itself_speaks(monkeypatch):
    leave(monkeypatch, Gone(), 1, KeyboardInterrupt(), told=False)


@pytest.mark.parametrize("first", [0, 1])
def test_the_first_speaks_and_the_other_ends_with_its_code(monkeypatch, first):
    store = torch.distributed.HashStore()
    leave(monkeypatch, store, first, KeyboardInterrupt(), told=False)
    for told in (True, False):  # it may have failed by itself in the same moment
        with pytest.raises(SystemExit) as caught:
            leave(monkeypatch, store, 1 - first, ValueError("of its own"), told)
        assert caught.value.code == 130
    assert store.add(distributed._ENDED, 0) == 3
