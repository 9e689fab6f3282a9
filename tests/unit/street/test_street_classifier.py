"""The classifier of patches on sets whose difference is known: none, a large one, one that a view hides."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch

from mtdc.data.io import write_depth_png
from mtdc.data.street import LidarOptions, StreetOptions, draw_frame
from mtdc.data.street.classifier import (
    VIEWS,
    ClassifierOptions,
    LabelledFrame,
    in_blocks,
    read_frames,
    tell_apart,
    train_classifier,
    unseen_groups,
)
from mtdc.data.street.writer import split_seed, write_street
from mtdc.errors import ConfigError, DataError

OPTIONS = ClassifierOptions(patch=(24, 32), first_row=4, least_points=5, width=4, steps=80, batch=32, rate=5e-3, tested=150)


def frames(count, density, seed, near=5.0, groups=None, height=48, width=80):
    """Maps of random points at random depth."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        depth = rng.uniform(near, near + 20, (height, width))
        sparse = np.where(rng.random((height, width)) < density, depth, 0).astype(np.float32)
        group = f"{seed}-{i if groups is None else i % groups}"
        found.append(LabelledFrame(sparse, f"{seed}/{i:04d}", group, "even" if i % 2 == 0 else "odd"))
    return found


def test_sets_of_one_kind_are_told_apart_half_of_the_time():
    verdict = tell_apart(frames(12, 0.1, 1), frames(12, 0.1, 2), OPTIONS, folds=2, seeds=(0, 1))
    assert len(verdict.accuracy) == len(verdict.area) == 2
    assert np.mean(verdict.accuracy) == pytest.approx(0.5, abs=0.06)
    assert np.mean(verdict.area) == pytest.approx(0.5, abs=0.06)


def test_a_denser_set_is_recognised():
    verdict = tell_apart(frames(6, 0.1, 1), frames(6, 0.2, 2), OPTIONS, folds=2, seeds=(0,))
    assert verdict.accuracy[0] > 0.95 and verdict.area[0] > 0.98
    assert min(verdict.folds.values()) > 0.95 and min(verdict.rows) > 0.9 and len(verdict.rows) == 4
    for kinds in verdict.kinds:
        assert set(kinds) == {"even", "odd"} and min(kinds.values()) > 0.9


def test_views_hide_what_they_say():
    """Sets that differ in depth alone, and in where the points are alone."""
    near, far = frames(6, 0.1, 1, near=4.0), frames(6, 0.1, 2, near=40.0)
    even, any_column = frames(6, 0.4, 3), frames(6, 0.2, 4)
    even = [replace(f, sparse=f.sparse * (np.arange(80) % 2 == 0)) for f in even]

    def accuracy(first, second, view):
        return tell_apart(first, second, replace(OPTIONS, view=view), folds=2, seeds=(0,)).accuracy[0]

    assert accuracy(near, far, "filled") > 0.9
    assert accuracy(near, far, "mask") == pytest.approx(0.5, abs=0.1)
    assert accuracy(even, any_column, "mask") > 0.9
    assert accuracy(even, any_column, "moved") < 0.75, "moved by up to a pixel, points lie in all columns"


def test_views_by_hand():
    depth = torch.zeros(1, 1, 4, 6)
    depth[0, 0, 1, 1], depth[0, 0, 1, 4] = 10.0, 40.0
    rng = np.random.default_rng(0)
    seen = {name: view(depth, rng) for name, view in VIEWS.items()}
    assert all(x.shape == (1, 2, 4, 6) and torch.isfinite(x).all() for x in seen.values())
    for name in ("depth", "mask", "relative", "noisy"):
        torch.testing.assert_close(seen[name][:, :1], (depth > 0).float())
    assert (seen["mask"][:, 1] == 0).all()
    assert seen["depth"][0, 1, 1, 4] - seen["depth"][0, 1, 1, 1] == pytest.approx(np.log(4))
    assert seen["relative"][0, 1].sum() == pytest.approx(0, abs=1e-6)
    assert (seen["filled"][0, 1, :, :3] == seen["filled"][0, 1, 1, 1]).all()
    assert (seen["filled"][0, 1, :, 3:] == seen["filled"][0, 1, 1, 4]).all()
    rows, columns = seen["moved"][0, 0].nonzero(as_tuple=True)
    assert len(rows) == 2 and rows.max() <= 2
    assert sorted(seen["moved"][0, 1, rows, columns].tolist()) == pytest.approx([np.log(10) - 2.5, np.log(40) - 2.5])


def test_no_group_is_trained_on_and_tested_on():
    marked = frames(20, 0.1, 1, groups=5)
    tested = []
    for fold in range(3):
        train, test = unseen_groups(marked, fold, 3)
        assert {f.group for f in train}.isdisjoint(f.group for f in test) and len(train) + len(test) == 20
        tested += [f.name for f in test]
    assert sorted(tested) == sorted(f.name for f in marked), "each frame is tested once"
    with pytest.raises(DataError, match="5 groups.*6 folds"):
        unseen_groups(marked, 0, 6)
    parts = in_blocks(marked[::-1], 4)
    assert [f.name for f in parts] == sorted(f.name for f in marked)
    assert [f.group for f in parts] == [f"part {i // 5 + 1}" for i in range(20)]


def test_what_is_learnt_by_heart_does_not_count():
    """Each group has its own mean depth and the sets share nothing: trained patches are known, unseen groups are guessed."""
    first, second = frames(6, 0.3, 1, groups=2), frames(6, 0.3, 2, groups=2)
    first = [replace(f, sparse=np.where(f.sparse > 0, 10.0 if f.group.endswith("0") else 30.0, 0)) for f in first]
    second = [replace(f, sparse=np.where(f.sparse > 0, 30.0 if f.group.endswith("0") else 10.0, 0)) for f in second]
    assert tell_apart(first, second, OPTIONS, folds=2, seeds=(0,)).accuracy[0] < 0.1


def test_one_seed_gives_one_result_whatever_was_drawn_before():
    first, second = frames(4, 0.1, 1), frames(4, 0.11, 2)
    options = replace(OPTIONS, steps=5, tested=40)
    one = tell_apart(first, second, options, folds=2, seeds=(0,))
    torch.rand(7)
    np.random.default_rng().random(3)
    state = torch.get_rng_state()
    other = tell_apart(first, second, options, folds=2, seeds=(0,))
    assert one == other
    assert torch.equal(state, torch.get_rng_state()), "and leaves torch's own generator alone"
    weights = [train_classifier(first, second, options, seed).last.weight for seed in (0, 1)]
    assert not torch.equal(*weights)


def test_wrong_sets_and_options_are_named():
    few = frames(4, 0.0005, 1)
    with pytest.raises(DataError, match="fewer than 5 points"):
        tell_apart(few, few, OPTIONS, folds=2, seeds=(0,))
    small = frames(4, 0.1, 1, height=20)
    with pytest.raises(DataError, match=r"1/000\d is 20x80; a patch of 24x32 below row 4 doesn't fit"):
        tell_apart(small, small, OPTIONS, folds=2, seeds=(0,))
    with pytest.raises(ConfigError, match=r"view='masks'.*Did you mean 'mask'"):
        ClassifierOptions(view="masks")
    with pytest.raises(ConfigError, match="batch=7"):
        ClassifierOptions(batch=7)
    with pytest.raises(ConfigError, match="folds=1"):
        tell_apart(small, small, OPTIONS, folds=1)


def test_frames_of_drives_and_of_the_world_are_grouped(tmp_path):
    write_street(tmp_path / "street", 3, options=StreetOptions(size=(40, 131), layouts=("narrow", "country")), processes=1)
    for drive, number in (("a_sync", 1), ("a_sync", 2), ("b_sync", 1)):
        path = tmp_path / "real" / drive / "proj_depth/velodyne_raw/image_02" / f"{number:010d}.png"
        write_depth_png(path, np.full((400, 1300), 5.0))
    real, world = read_frames(tmp_path / "real"), read_frames(tmp_path / "street" / "train")
    assert [(f.group, f.kind) for f in real] == [("a_sync", "a_sync"), ("a_sync", "a_sync"), ("b_sync", "b_sync")]
    assert real[0].sparse.shape == (352, 1216), "the lower middle, as the world's frames are"
    assert [f.group for f in world] == ["0000000000", "0000000001", "0000000002"]
    drawn = [
        draw_frame(StreetOptions(layouts=("narrow", "country")), split_seed(0, "train"), number, ()).layout
        for number in range(3)
    ]
    assert [f.kind for f in world] == drawn
    assert [f.group for f in read_frames(tmp_path / "street" / "train", 2)] == ["0000000000", "0000000001"]
    with pytest.raises(DataError, match="holds no frames"):
        read_frames(tmp_path / "nothing")


def test_the_tool_prints_a_row_for_each_comparison(repository, tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("street_classifier", repository / "tools/street_classifier.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    write_street(
        tmp_path / "street", 4, options=StreetOptions(size=(192, 640), truth="off", lidar=LidarOptions(step=0.4)), processes=1
    )
    rng = np.random.default_rng(0)
    for drive, count in (("a_sync", 2), ("b_sync", 1), ("c_sync", 1)):
        for number in range(count):
            path = tmp_path / "real" / drive / "proj_depth/velodyne_raw/image_02" / f"{number:010d}.png"
            write_depth_png(path, rng.uniform(4, 20, (200, 400)) * (rng.random((200, 400)) < 0.05), zero_is_empty=True)
    command = [str(tmp_path / "street" / "train"), "--steps", "3", "--seeds", "1"]
    assert tool.main([*command, "--real", str(tmp_path / "real")]) == 0
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == ["real, world (depth)", "real a_sync, other real (depth)", "world, world (depth)"]
    # One drive alone is cut into parts, and there is no other to compare it with.
    assert tool.main([*command, "--real", str(tmp_path / "real" / "a_sync"), "--views", "mask"]) == 0
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == ["real, world (mask)", "world, world (mask)"]
    with pytest.raises(SystemExit):
        tool.main([*command, "--real", str(tmp_path / "nowhere")])
    assert "holds no frames" in capsys.readouterr().err
