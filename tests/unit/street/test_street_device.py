"""The same code on a second device: rays never meet a tensor that was left on the processor, and batches ask it for less.

There may be no GPU where the tests run, so the second device is played (``tools/benchmarks/played.py``).
"""

import importlib
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mtdc.data.datasets import street as street_set
from mtdc.data.datasets.street import StreetWorld
from mtdc.data.street import MAPS, LidarOptions, StreetOptions, draw_frames, draw_views, writer
from mtdc.data.street.writer import frame_files, street_state, write_street
from mtdc.errors import ConfigError

OPTIONS = StreetOptions(
    size=(31, 90), cameras=(2, 3), wet=0.5, grow=1, grow_share=0.5, edge_band=2, lidar=LidarOptions(step=1.5, skew=True)
)


@pytest.fixture(scope="module")
def played(repository):
    """The module of the played device."""
    folder = str(repository / "tools")
    sys.path.insert(0, folder)
    yield importlib.import_module("benchmarks.played")
    sys.path.remove(folder)


def test_the_played_device_refuses_what_a_gpu_refuses(played):
    with played.played_device():
        there = torch.ones(3, device=played.NAME)
        assert there.device.type == played.NAME and (there + 1).device.type == played.NAME and float(there.sum()) == 3
        assert (there + 1).cpu().device.type == "cpu"
        with pytest.raises(AssertionError, match="two devices"):
            there + torch.ones(3)


def test_the_played_device_counts_kernels_and_waits(played):
    with played.played_device() as asked:
        there = torch.arange(6, device=played.NAME)  # 1
        table = there.reshape(2, 3).T[:, None]  # looks only
        assert (asked.operations, asked.waits) == (1, 0)
        total = (table * 2).sum()  # 3
        torch.ones(5) * 7  # the processor's own
        assert (asked.operations, asked.waits) == (3, 0)
        assert int(total) == 30  # 4, and a wait
        assert (asked.operations, asked.waits) == (4, 1)
        assert (there > 2).nonzero().cpu().tolist() == [[3], [4], [5]]  # 7, and two waits
        assert (asked.operations, asked.waits) == (7, 3)
        there[there > 4]  # 9, and a wait for how many there are
        assert (asked.operations, asked.waits) == (9, 4)


def test_frames_come_out_the_same_with_nothing_left_behind(played):
    expected = [draw_views(OPTIONS, 2, number) for number in (2, 3)]
    assert [views[2].layout for views in expected] == ["yard", "crossing"]
    with played.played_device():
        batch = draw_frames(OPTIONS, 2, [2, 3], device=played.NAME)
        alone = draw_views(OPTIONS, 2, 3, device=played.NAME)
    for views, found in ((expected[1], alone), *zip(expected, batch, strict=True)):
        for camera in (2, 3):
            for name in MAPS:
                assert np.array_equal(found[camera].maps[name], views[camera].maps[name]), (camera, name)


def test_a_batch_asks_the_device_for_little_more_than_a_frame(played):
    """And a frame with eleven scans for little more than one with its own scan alone."""
    options = StreetOptions(size=(24, 80), lidar=LidarOptions(step=3.0))
    asked = {}
    for case, frames, wanted in (
        ("scan", 1, ("sparse_depth",)),
        ("frame", 1, ("sparse_depth", "truth", "image")),
        ("batch", 4, ("sparse_depth", "truth", "image")),
    ):
        with played.played_device() as asked[case]:
            draw_frames(options, 0, range(frames), wanted, played.NAME)
    assert asked["batch"].operations < 1.6 * asked["frame"].operations
    assert asked["batch"].waits < 1.6 * asked["frame"].waits
    assert asked["frame"].operations < 6 * asked["scan"].operations


def counted(monkeypatch, module):
    """How many frames each call of the module's ``draw_frames`` draws."""
    calls = []

    def draw(options, seed, numbers, *more, **named):
        calls.append(len(numbers))
        return draw_frames(options, seed, numbers, *more, **named)

    monkeypatch.setattr(module, "draw_frames", draw)
    return calls


def test_a_set_on_disk_is_drawn_in_batches_and_finished(played, monkeypatch, tmp_path):
    options = StreetOptions(size=(24, 80), lidar=LidarOptions(step=3.0), truth="dense", cameras=(2, 3))
    write_street(tmp_path / "expected", 5, options=options, processes=1)
    calls, seen = counted(monkeypatch, writer), []
    with played.played_device():
        write_street(tmp_path / "found", 3, options=options, device=played.NAME, batch=2)
        frame_files(tmp_path / "found" / "train", 1, camera=3)["truth"].unlink()
        drawn = write_street(tmp_path / "found", 5, options=options, device=played.NAME,
                             progress=lambda done, total: seen.append((done, total)))  # fmt: skip
    assert drawn == 3 and calls == [2, 1, 3] and seen == [(1, 3), (2, 3), (3, 3)]
    assert street_state(tmp_path / "found" / "train") == street_state(tmp_path / "expected" / "train")
    files = [path.relative_to(tmp_path / "expected") for path in (tmp_path / "expected").rglob("*.*")]
    assert len(files) == 5 * 2 * 3 + 3
    for name in files:
        assert (tmp_path / "found" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes(), name


def test_a_loaders_batch_is_drawn_as_one_on_another_device(played, monkeypatch):
    what = {"size": (24, 80), "truth": "dense", "lidar": {"step": 3.0}, "cameras": (2, 3), "inputs": ("sparse_depth", "image")}
    plain, there = StreetWorld(3, **what), StreetWorld(3, **what, device=played.NAME)
    calls = counted(monkeypatch, street_set)
    order = [(0, 1), (3, 1), (2, 0), (2, 1)]
    with played.played_device():
        (batch,) = DataLoader(there, batch_size=4, sampler=order, collate_fn=list)
    # Indices 0 and 3 are both cameras' views of one street.
    assert calls == [3]
    for index, one in zip(order, batch, strict=True):
        expected = plain[index]
        assert one["data_samples"].sample_id == expected["data_samples"].sample_id
        assert all(torch.equal(one["inputs"][key], values) for key, values in expected["inputs"].items())
        assert torch.equal(one["data_samples"].gt_depth, expected["data_samples"].gt_depth)
    del calls[:]
    (again,) = DataLoader(plain, batch_size=4, sampler=order, collate_fn=list)
    assert calls == [1] * 4 and torch.equal(again[1]["inputs"]["image"], batch[1]["inputs"]["image"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "gpu"}, "device='gpu'; expected 'cpu' or 'cuda'"),
        ({"batch": 4}, "on a processor, which draws frame by frame; say device='cuda' as well"),
        ({"device": "meta", "batch": 0}, "batch=0; expected at least 1"),
    ],
)
def test_devices_and_batches_that_cannot_be_are_named(arguments, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        write_street(tmp_path, 1, **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="torch sees no GPU here; leave it out"):
        write_street(tmp_path, 1, device="cuda")
