"""Both colour cameras: one street, KITTI's calibration, each with parallax of its own."""

from dataclasses import replace

import numpy as np
import pytest

from mtdc.commands import main
from mtdc.data.calibration import read_calibration
from mtdc.data.datasets.kitti import KittiDepthCompletion
from mtdc.data.datasets.street import StreetWorld
from mtdc.data.street import LidarOptions, StreetOptions, draw_frame, draw_views
from mtdc.data.street.writer import DRIVE, frame_files, split_seed, street_state, write_street
from mtdc.errors import ConfigError
from mtdc.structures import DEPTH

BOTH = StreetOptions(size=(96, 320), cameras=(2, 3), lidar=LidarOptions(step=0.35, encoder=0.0))
SMALL = replace(BOTH, size=(40, 131), lidar=LidarOptions(step=0.7))


def test_a_point_seen_by_both_cameras_is_one_point_by_the_calibration(tmp_path):
    """Camera 2's depth, back-projected and projected by P_rect_03, lands on camera 3's depth of the same surface."""
    write_street(tmp_path, 1, options=replace(BOTH, truth="off"), processes=1)
    calibration = read_calibration(tmp_path / "train" / DRIVE)
    left, right = (calibration.projection(camera) for camera in (2, 3))
    # KITTI's own numbers: P_rect_02 and P_rect_03 of 2011_09_26 differ by 384.38 pixels metres.
    assert (left[0, 3] - right[0, 3]) / right[0, 0] == pytest.approx((44.85728 + 339.5242) / 721.5377, abs=1e-4)
    np.testing.assert_array_equal(left[:, :3], right[:, :3])
    assert calibration.size(3) == (96, 320)
    views = draw_views(replace(BOTH, truth="off"), split_seed(0, "train"), 0, ("dense", "image", "semantics", "sparse_depth"))
    two, three = views[2].maps, views[3].maps
    rows, columns = np.nonzero((two["dense"] > 0) & (two["dense"] < 60))
    depth = two["dense"][rows, columns].astype(float)
    rays = np.linalg.inv(left[:, :3]) @ np.stack((columns, rows, np.ones_like(rows))).astype(float)
    points = np.vstack((rays * depth, np.ones_like(depth)))
    seen = right @ points
    at = np.round(seen[0] / seen[2]).astype(int)
    inside = (at >= 0) & (at < 320)
    np.testing.assert_allclose(seen[1] / seen[2], rows, atol=1e-6)
    other = three["dense"][rows[inside], at[inside]]
    # All but what one camera sees past an edge and the other doesn't; half a pixel of slanted walls is a few percent.
    agree = np.abs(other - depth[inside]) < 0.1 + 0.03 * depth[inside]
    assert inside.mean() > 0.8 and agree.mean() > 0.85
    same_class = three["semantics"][rows[inside], at[inside]] == two["semantics"][rows[inside], columns[inside]]
    assert same_class[agree].mean() > 0.95
    # The images are apart by the disparity: a shift of none agrees worse.
    unmoved = np.abs(three["dense"][rows, columns] - depth) < 0.1 + 0.03 * depth
    assert unmoved.mean() < agree.mean() - 0.1


def test_the_scan_of_both_is_one_and_its_parallax_is_each_cameras_own():
    views = draw_views(BOTH, 3, 1)
    matrix, baseline = views[2].intrinsics, 0.5327
    two, three = views[2].maps["sparse_depth"], views[3].maps["sparse_depth"]
    rows, columns = np.nonzero(two)
    depth = two[rows, columns]
    moved = columns - matrix[0, 0] * baseline / depth
    # A pixel's point lies up to half a pixel beside its centre.
    found = np.zeros(len(rows), bool)
    for shift in (-1, 0, 1):
        at = np.round(moved).astype(int) + shift
        ok = (at >= 0) & (at < 320)
        found[ok] |= np.abs(three[rows[ok], at[ok]] - depth[ok]) < 1e-3
    inside = (moved > 1) & (moved < 318)
    assert found[inside].mean() > 0.85, "camera 3's sparse map holds other points"
    assert not np.array_equal(two, three)
    # Camera 3 stands 0.53 m right of the LiDAR, camera 2 0.06 m left of it: what it sees past edges lies on the other side.
    for camera in (2, 3):
        maps = views[camera].maps
        known = (maps["sparse_depth"] > 0) & (maps["truth"] > 0)
        assert known.any() and (maps["truth"] - maps["sparse_depth"])[known].max() <= 1.0


def test_a_view_does_not_depend_on_the_other_being_drawn():
    views = draw_views(SMALL, 2, 0)
    for camera in (3, 2):
        alone = draw_frame(SMALL, 2, 0, camera=camera)
        assert alone.camera == camera
        for name, map_ in alone.maps.items():
            assert np.array_equal(map_, views[camera].maps[name]), (camera, name)
    only_left = draw_frame(replace(SMALL, cameras=(2,)), 2, 0)
    assert all(np.array_equal(only_left.maps[name], views[2].maps[name]) for name in only_left.maps)
    with pytest.raises(ConfigError, match="no camera"):
        draw_frame(SMALL, 2, 0, camera=1)
    noise = views[2].maps["image"].astype(int) - views[3].maps["image"].astype(int)
    assert noise.std() > 2


def test_the_kitti_reader_reads_both_cameras(tmp_path):
    assert write_street(tmp_path, 2, options=SMALL, processes=1, extra=("dense",)) == 2
    more = {"inputs": ("sparse_depth", "image", "intrinsics"), "targets": (DEPTH,)}
    stored = KittiDepthCompletion(tmp_path, "train", require_target=True, cameras=(2, 3), **more)
    drawn = StreetWorld(2, (40, 131), cameras=[2, 3], lidar={"step": 0.7}, **more)
    assert len(stored) == 4 == len(drawn)
    assert [stored.sample_id(i) for i in range(4)] == [drawn.sample_id(i) for i in range(4)]
    assert stored.sample_id(3) == f"{DRIVE}_image_03_0000000001"
    for i in range(4):
        one, other = stored[i], drawn[i]
        for key in ("sparse_depth", "image", "intrinsics"):
            np.testing.assert_allclose(one["inputs"][key], other["inputs"][key], atol=1 / 256, rtol=1e-6)
        assert (one["data_samples"].gt_depth - other["data_samples"].gt_depth).abs().max() <= 1 / 256
    # What the right camera lacks is drawn again, and nothing else.
    before = frame_files(tmp_path / "train", 1, camera=2)["image"].stat().st_mtime_ns
    frame_files(tmp_path / "train", 1, camera=3)["truth"].unlink()
    assert write_street(tmp_path, 2, options=SMALL, processes=1, extra=("dense",)) == 1
    assert frame_files(tmp_path / "train", 1, camera=3)["truth"].is_file()
    assert frame_files(tmp_path / "train", 1, camera=2)["image"].stat().st_mtime_ns == before


def test_one_camera_a_street_is_half_of_each(tmp_path):
    options = replace(SMALL, one_camera=True, truth="off")
    seen = [options.cameras_of(0, n) for n in range(200)]
    assert {len(one) for one in seen} == {1} and 70 < seen.count((3,)) < 130
    assert write_street(tmp_path, 6, options=options, processes=1) == 6
    stored = KittiDepthCompletion(tmp_path, "train", cameras=(2, 3))
    own = split_seed(0, "train")
    expected = {f"{DRIVE}_image_{options.cameras_of(own, n)[0]:02d}_{n:010d}" for n in range(6)}
    assert {stored.sample_id(i) for i in range(len(stored))} == expected and len({name[-13:-11] for name in expected}) == 2
    assert street_state(tmp_path / "train")["finished"] == 6
    drawn = StreetWorld(6, (40, 131), cameras=(2, 3), one_camera=True, truth="off", lidar={"step": 0.7})
    assert len(drawn) == 6 and {drawn.sample_id(i) for i in range(6)} == expected


def test_command_takes_both_cameras_and_the_kinds_of_truth(tmp_path, capsys):
    command = [
        str(tmp_path),
        "--frames",
        "1",
        "--size",
        "40",
        "131",
        "--processes",
        "1",
        "--lines",
        "16",
        "--cameras",
        "3",
        "2",
    ]
    more = ["--wet", "1", "--edge-band", "4", "--grow", "1", "--grow-share", "0.5", "--filter-share", "0.5",
            "--noise-factor", "0.5", "2", "--mount-noise", "0.02"]  # fmt: skip
    assert main([*command, *more], "street") == 0
    options = street_state(tmp_path / "train")["options"]
    assert options["cameras"] == [2, 3] and options["wet"] == 1 and options["edge_band"] == 4 and options["grow_share"] == 0.5
    assert options["filter_share"] == 0.5 and options["lidar"]["noise_factor"] == [0.5, 2] and options["grow"] == 1
    assert options["lidar"]["mount_noise"] == 0.02 and not options["one_camera"]
    assert main([*command, "--grow-share", "0.5"], "street") == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("mtdc street: street: grow_share=0.5 without")
