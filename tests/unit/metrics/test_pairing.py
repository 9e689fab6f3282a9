"""Which prediction belongs to which ground truth."""

from pathlib import Path

import pytest

from mtdc.engine.pairing import kitti_identity, pair_folders
from mtdc.errors import DataError

DRIVE = "2011_09_26_drive_0001"
TREE = f"{DRIVE}_sync/proj_depth/groundtruth/image_02/0000000005.png"


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def pairs(tmp_path, truths, predictions):
    found = pair_folders(touch(tmp_path / "truth", *truths), touch(tmp_path / "mine", *predictions))
    return {
        pair.ground_truth.relative_to(tmp_path / "truth").as_posix(): pair.prediction.relative_to(tmp_path / "mine").as_posix()
        for pair in found
    }


@pytest.mark.parametrize(
    "name",
    [
        TREE,
        f"{DRIVE}_sync/image_02/data/0000000005.png",
        f"2011_09_26/{DRIVE}_sync/image_02/data/0000000005.png",
        f"{DRIVE}_sync_groundtruth_depth_0000000005_image_02.png",
        f"{DRIVE}_sync_velodyne_raw_0000000005_image_02.png",
        f"{DRIVE}_sync_image_0000000005_image_02.png",
        f"{DRIVE}_sync_image_02_0000000005.png",
    ],
)
def test_identity_in_all_layouts(name):
    assert kitti_identity(Path("data") / name) == (DRIVE, "0000000005", "02")


def test_identity_of_names_that_say_less():
    assert kitti_identity(Path("out/0000000005.png")) == (None, "0000000005", None)
    assert kitti_identity(Path("out/image_03/0000000005.png")) == (None, "0000000005", "03")
    # "image_00..." is here the start of a frame number and no camera.
    assert kitti_identity(Path(f"{DRIVE}_sync_image_0000000005.png")) == (DRIVE, "0000000005", None)
    assert kitti_identity(Path("out/00005.png")) == (None, None, None)
    # The mark nearest to the file counts.
    assert kitti_identity(Path(f"{DRIVE}_sync/image_02/2011_10_03_drive_0042_sync_image_03_0000000005.png")) == (
        "2011_10_03_drive_0042", "0000000005", "03",
    )  # fmt: skip


def test_same_relative_names_are_pairs_of_any_kind(tmp_path):
    names = ["a.png", "b/a.png", "b/c.PNG"]
    assert pairs(tmp_path, names, names) == {name: name for name in names}


def test_selection_names_pair_by_drive_frame_and_camera(tmp_path):
    truths = [f"{DRIVE}_sync_groundtruth_depth_000000000{n}_image_0{c}.png" for n in (5, 8) for c in (2, 3)]
    predictions = [f"{DRIVE}_sync_image_000000000{n}_image_0{c}.png" for n in (5, 8) for c in (2, 3)]
    assert pairs(tmp_path, truths, predictions) == dict(zip(truths, predictions, strict=True))


def test_tree_pairs_with_flat_names_whatever_their_order(tmp_path):
    drives = ("2011_09_26_drive_0002", "2011_10_03_drive_0042")
    truths = [f"{drive}_sync/proj_depth/groundtruth/image_0{c}/0000000009.png" for drive in drives for c in (2, 3)]
    predictions = [f"{drive}_sync_image_0{c}_0000000009.png" for drive in drives for c in (2, 3)]
    assert pairs(tmp_path, truths, predictions) == dict(zip(truths, predictions, strict=True))


def test_drive_and_camera_may_stand_above_the_given_folder(tmp_path):
    truth = touch(tmp_path / f"{DRIVE}_sync" / "proj_depth" / "groundtruth" / "image_03", "0000000005.png")
    mine = touch(tmp_path / "mine", *(f"{DRIVE}_sync_image_0{c}_0000000005.png" for c in (2, 3)))
    with_camera = pair_folders(truth, mine)
    assert [pair.prediction.name for pair in with_camera] == [f"{DRIVE}_sync_image_03_0000000005.png"]


def test_frame_number_alone_is_enough_where_only_one_fits(tmp_path):
    assert pairs(tmp_path, [TREE], ["0000000005.png", "0000000006.png"]) == {TREE: "0000000005.png"}


def test_another_drive_or_camera_is_no_pair(tmp_path):
    for other in ("2011_09_26_drive_0002_sync_image_02_0000000005.png", f"{DRIVE}_sync_image_03_0000000005.png"):
        with pytest.raises(DataError, match="1 of 1 ground truth files have no prediction"):
            pairs(tmp_path / other[:-4], [TREE], [other])


def test_missing_predictions_are_counted_and_named(tmp_path):
    names = [f"{n:010d}.png" for n in range(9)]
    with pytest.raises(DataError, match=r"7 of 9 .*0000000002\.png, 0000000003\.png, 0000000004\.png, \.\.\.") as caught:
        pairs(tmp_path, names, names[:2])
    assert "\n" not in str(caught.value)


def test_two_predictions_for_one_frame_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"fits 2 predictions, .*a.0000000005\.png and .*b.0000000005\.png"):
        pairs(tmp_path, [TREE], ["a/0000000005.png", "b/0000000005.png"])


def test_one_prediction_for_two_frames_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"mine.0000000005\.png fits two ground truth files"):
        pairs(tmp_path, [TREE, TREE.replace("image_02", "image_03")], ["0000000005.png"])


def test_full_name_wins_over_a_bare_number(tmp_path):
    full = f"{DRIVE}_sync_image_02_0000000005.png"
    assert pairs(tmp_path, [TREE], ["0000000005.png", full]) == {TREE: full}


def test_extra_predictions_are_left_out_with_a_notice(tmp_path, caplog):
    assert pairs(tmp_path, ["a.png"], ["a.png", "b.png", "c.png"]) == {"a.png": "a.png"}
    assert "2 predictions have no ground truth and are left out: b.png, c.png" in caplog.text


def test_photos_and_sparse_depth_in_the_tree_are_no_ground_truth(tmp_path, caplog):
    others = [TREE.replace("groundtruth", "velodyne_raw"), f"2011_09_26/{DRIVE}_sync/image_02/data/0000000005.png"]
    prediction = f"{DRIVE}_sync_image_02_0000000005.png"
    assert pairs(tmp_path, [TREE, *others], [prediction]) == {TREE: prediction}
    assert "2 others are left out" in caplog.text


def test_folders_that_hold_nothing_are_named(tmp_path):
    truth = touch(tmp_path / "truth", "a.png")
    with pytest.raises(DataError, match=r"predictions: .*mine does not exist"):
        pair_folders(truth, tmp_path / "mine")
    with pytest.raises(DataError, match=r"holds no PNG.*found 2 \.npy, 1 \.txt"):
        pair_folders(truth, touch(tmp_path / "mine", "a.npy", "b.npy", "c.txt"))
    with pytest.raises(DataError, match="is a file"):
        pair_folders(truth / "a.png", truth)
    with pytest.raises(DataError, match="same folder"):
        pair_folders(truth, tmp_path / "mine" / ".." / "truth")


def test_hidden_files_are_no_frames(tmp_path):
    assert pairs(tmp_path, ["a.png", "._a.png"], ["a.png"]) == {"a.png": "a.png"}
