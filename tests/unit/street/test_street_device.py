"""The same code on a second device: rays never meet a tensor that was left on the processor, and batches ask it for less.

There may be no GPU where the tests run, so the second device is played (``tools/benchmarks/played.py``).
"""

import importlib
import sys

import numpy as np
import pytest
import torch

from mtdc.data.street import MAPS, LidarOptions, StreetOptions, draw_frames, draw_views

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
