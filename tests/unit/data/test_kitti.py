"""Every layout of KITTI depth completion, as small trees written with cv2, and the real frames."""

import logging

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mtdc.data.datasets.kitti import KittiDepthCompletion
from mtdc.errors import DataError
from mtdc.structures import DEPTH, GRAY_IMAGE, RGB_IMAGE, Field

A, B = "2011_09_26_drive_0001_sync", "2011_10_03_drive_0047_sync"
DATE = {A: "2011_09_26", B: "2011_10_03"}
HEIGHT, WIDTH = 9, 15
EVERYTHING = {"inputs": ("sparse_depth", "image", "intrinsics"), "targets": (DEPTH, GRAY_IMAGE)}
# (drive, camera, frame): each has its own depth, so that a wrong pairing shows.
FRAMES = [(A, 2, 5), (A, 2, 6), (A, 3, 5), (B, 2, 11)]


def code(frame):
    return 1 + FRAMES.index(frame)


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, array)[1].tobytes())


def depth(metres, shape=(HEIGHT, WIDTH)):
    stored = np.zeros(shape, np.uint16)
    stored[1::2] = metres * 256
    return stored


def photo(value, shape=(HEIGHT, WIDTH)):
    return np.full((*shape, 3), (0, 0, value), np.uint8)  # red


def calibration(folder, focal):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"S_rect_0{c}: {WIDTH} {HEIGHT}\nP_rect_0{c}: {focal + c} 0 7 0 0 {focal + c} 4 0 0 0 1 0" for c in (2, 3)]
    (folder / "calib_cam_to_cam.txt").write_text("calib_time: 09-Jan-2012 13:57:47\n" + "\n".join(lines) + "\n")


def depth_tree(sparse_root, target_root):
    for frame in FRAMES:
        drive, camera, number = frame
        name = f"image_0{camera}/{number:010d}.png"
        write(sparse_root / drive / "proj_depth/velodyne_raw" / name, depth(code(frame)))
        write(target_root / drive / "proj_depth/groundtruth" / name, depth(10 + code(frame)))


def raw_tree(folder_of_drive, suffix=".png"):
    for frame in FRAMES:
        drive, camera, number = frame
        write(folder_of_drive(drive) / f"image_0{camera}/data/{number:010d}{suffix}", photo(20 * code(frame)))


def selection(root, same_names=False):
    for frame in FRAMES:
        drive, camera, number = frame

        def name(kind, drive=drive, camera=camera, number=number):
            return f"{drive}_{'image' if same_names else kind}_{number:010d}_image_0{camera}"

        write(root / "velodyne_raw" / f"{name('velodyne_raw')}.png", depth(code(frame)))
        write(root / "groundtruth_depth" / f"{name('groundtruth_depth')}.png", depth(10 + code(frame)))
        write(root / "image" / f"{name('image')}.png", photo(20 * code(frame)))
        (root / "intrinsics").mkdir(exist_ok=True)
        (root / "intrinsics" / f"{name('image')}.txt").write_text(f"{100 + camera} 0 7 0 {100 + camera} 4 0 0 1")


def devkit(root):
    depth_tree(root / "train", root / "train")
    raw_tree(lambda drive: root / "kitti_raw" / DATE[drive] / drive)
    for drive in (A, B):
        calibration(root / "kitti_raw" / DATE[drive], 100)


def two_archives(root):
    depth_tree(root / "data_depth_velodyne/train", root / "data_depth_annotated/train")
    raw_tree(lambda drive: root / "raw" / DATE[drive] / drive, ".jpg")
    for drive in (A, B):
        calibration(root / "raw" / DATE[drive], 100)


def data_rgb(root):
    depth_tree(root / "data_depth_velodyne/train", root / "data_depth_annotated/train")
    raw_tree(lambda drive: root / "data_rgb/train" / drive)
    for drive in (A, B):
        calibration(root / "data_rgb/train" / drive, 100)


def all_in_the_drive(root):
    depth_tree(root / "train", root / "train")
    raw_tree(lambda drive: root / "train" / drive)
    for drive in (A, B):
        calibration(root / "train" / drive, 100)


def raw_in_the_split(root):
    depth_tree(root / "train", root / "train")
    raw_tree(lambda drive: root / "train" / DATE[drive] / drive)
    for drive in (A, B):
        calibration(root / "train" / DATE[drive], 100)


def dates_in_the_root(root):
    depth_tree(root / "train", root / "train")
    raw_tree(lambda drive: root / DATE[drive] / drive)
    for drive in (A, B):
        calibration(root / DATE[drive], 100)


def check_frames(data):
    ids = [f"{drive}_image_0{camera}_{number:010d}" for drive, camera, number in FRAMES]
    assert [data.sample_id(i) for i in range(len(data))] == ids
    for i, frame in enumerate(FRAMES):
        check_frame(data[i], frame)


def check_frame(item, frame):
    inputs, sample = item["inputs"], item["data_samples"]
    assert inputs["sparse_depth"].shape == (1, HEIGHT, WIDTH) and inputs["sparse_depth"].dtype == torch.float32
    assert inputs["sparse_depth"].unique().tolist() == [0, code(frame)]
    assert sample.gt_depth.unique().tolist() == [0, 10 + code(frame)]
    assert inputs["image"].shape == (3, HEIGHT, WIDTH)
    assert torch.allclose(inputs["image"][0], torch.tensor(20.0 * code(frame)), atol=2)  # JPEG is not exact
    assert inputs["image"][1:].max() <= 2
    assert torch.allclose(sample.gt_image, torch.tensor(0.299 * 20 * code(frame)), atol=2)
    focal = 100 + frame[1]
    assert inputs["intrinsics"].tolist() == [[focal, 0, 7], [0, focal, 4], [0, 0, 1]]


@pytest.mark.parametrize("make", [devkit, two_archives, data_rgb, all_in_the_drive, raw_in_the_split, dates_in_the_root])
def test_layouts_of_drives(tmp_path, make):
    make(tmp_path)
    check_frames(KittiDepthCompletion(tmp_path, "train", **EVERYTHING))


def test_one_archive_may_be_named(tmp_path):
    two_archives(tmp_path)
    check_frames(KittiDepthCompletion(tmp_path / "data_depth_annotated", "train", **EVERYTHING))


def test_the_split_itself_and_raw_data_elsewhere(tmp_path, monkeypatch):
    depth_tree(tmp_path / "depth", tmp_path / "depth")
    raw_tree(lambda drive: tmp_path / "elsewhere" / DATE[drive] / drive)
    for drive in (A, B):
        calibration(tmp_path / "elsewhere" / DATE[drive], 100)
    monkeypatch.chdir(tmp_path)
    check_frames(KittiDepthCompletion("depth", ".", raw_root="elsewhere", **EVERYTHING))
    monkeypatch.chdir(tmp_path / "depth")
    check_frames(KittiDepthCompletion("", ".", raw_root="../elsewhere", **EVERYTHING))


@pytest.mark.parametrize("place", ["", "depth_selection", "data_depth_selection"])
@pytest.mark.parametrize("same_names", [False, True])
def test_selection(tmp_path, place, same_names):
    selection(tmp_path / place / "val_selection_cropped", same_names)
    data = KittiDepthCompletion(tmp_path, "val_selection_cropped", **EVERYTHING)
    assert len(data) == len(FRAMES)
    for i in range(len(data)):
        drive, camera, number = next(f for f in FRAMES if f"{f[0]}_image_{f[2]:010d}_image_0{f[1]}" == data.sample_id(i))
        check_frame(data[i], (drive, camera, number))
    left = KittiDepthCompletion(tmp_path, "val_selection_cropped", cameras=(2,))
    assert len(left) == 3 and all(left.sample_id(i).endswith("image_02") for i in range(3))


def test_anonymous_test(tmp_path, caplog):
    folder = tmp_path / "depth_selection/test_depth_completion_anonymous"
    for number in range(3):
        write(folder / f"velodyne_raw/{number:010d}.png", depth(1 + number))
        write(folder / f"image/{number:010d}.png", photo(20 * (1 + number)))
    (folder / "intrinsics").mkdir()
    for number in range(3):
        (folder / f"intrinsics/{number:010d}.txt").write_text("102 0 7 0 102 4 0 0 1")
    with caplog.at_level(logging.WARNING):
        data = KittiDepthCompletion(tmp_path, "test_depth_completion_anonymous", **EVERYTHING)
    assert "groundtruth_depth" in caplog.text
    assert [data.sample_id(i) for i in range(3)] == ["0000000000", "0000000001", "0000000002"]
    item = data[2]
    assert item["inputs"]["sparse_depth"].max() == 3 and item["inputs"]["image"][0].min() == 60
    assert item["data_samples"].gt_depth.shape == (1, HEIGHT, WIDTH) and not item["data_samples"].gt_depth.any()


def test_the_first_split_that_exists(tmp_path):
    depth_tree(tmp_path / "val", tmp_path / "val")
    assert len(KittiDepthCompletion(tmp_path, ("val_selection_cropped", "val"))) == len(FRAMES)


def test_only_what_is_asked_for_is_opened(tmp_path):
    devkit(tmp_path)
    for path in [*tmp_path.rglob("groundtruth/*/*.png"), *tmp_path.rglob("data/*.png"), *tmp_path.rglob("calib*.txt")]:
        path.write_bytes(b"broken")
    data = KittiDepthCompletion(tmp_path, "train", targets=())
    assert data[0]["inputs"].keys() == {"sparse_depth"} and list(data[0]["data_samples"].keys()) == []


def test_missing_targets_are_unknown(tmp_path):
    devkit(tmp_path)
    (tmp_path / f"train/{A}/proj_depth/groundtruth/image_02/0000000006.png").unlink()
    (tmp_path / f"kitti_raw/{DATE[B]}/{B}/image_02/data/0000000011.png").unlink()
    data = KittiDepthCompletion(tmp_path, "train", targets=(DEPTH, RGB_IMAGE))
    assert len(data) == 4 and data.count(DEPTH) == 3 and data.count(RGB_IMAGE) == 3
    assert data[1]["data_samples"].gt_depth.unique().tolist() == [0]
    assert data[3]["data_samples"].gt_image.shape == (3, HEIGHT, WIDTH)
    assert data[3]["data_samples"].gt_image.unique().tolist() == [-1]
    assert len(KittiDepthCompletion(tmp_path, "train", require_target=True)) == 3


def empty_copies(root):
    """The folders that are looked into before the real ones, all empty, as an interrupted unpacking leaves them."""
    for drive, camera, _ in FRAMES:
        name = f"image_0{camera}"
        for folder in (root / "train" / drive / name / "data", root / "data_rgb/train" / drive / name):
            folder.mkdir(parents=True, exist_ok=True)
        for kind in ("velodyne_raw", "groundtruth"):
            (root / "train" / drive / "proj_depth" / kind / name).mkdir(parents=True, exist_ok=True)


def test_empty_folders_hide_nothing(tmp_path):
    two_archives(tmp_path)
    empty_copies(tmp_path)
    check_frames(KittiDepthCompletion(tmp_path, "train", **EVERYTHING))


@pytest.mark.parametrize("empty", ["velodyne_raw", f"{A}/proj_depth/velodyne_raw/image_02"])
def test_a_split_without_maps_hides_no_full_one(tmp_path, empty):
    selection(tmp_path / "depth_selection/chosen")
    (tmp_path / "chosen" / empty).mkdir(parents=True)
    assert len(KittiDepthCompletion(tmp_path, "chosen")) == len(FRAMES)
    devkit(tmp_path)
    (tmp_path / "other" / empty).mkdir(parents=True)
    assert KittiDepthCompletion(tmp_path, ("other", "train")).split == "train"
    assert "no frame with sparse depth" in refusal(lambda: KittiDepthCompletion(tmp_path, "other"))


@pytest.mark.parametrize(("kind", "said"), [("velodyne_raw", "left out"), ("groundtruth", "no ground truth")])
def test_a_depth_map_without_any_pixel_is_refused(tmp_path, kind, said):
    devkit(tmp_path)
    path = tmp_path / f"train/{A}/proj_depth/{kind}/image_02/0000000005.png"
    write(path, np.zeros((HEIGHT, WIDTH), np.uint16))
    data = KittiDepthCompletion(tmp_path, "train")
    text = refusal(lambda: data[0])
    assert str(path) in text and "no measured pixel (all 0)" in text and said in text
    path.unlink()  # as the message says
    data = KittiDepthCompletion(tmp_path, "train")
    assert len(data) == 4 - (kind == "velodyne_raw")
    assert data[0]["inputs"]["sparse_depth"].any()


def test_drives_may_keep_their_images_in_different_places(tmp_path):
    devkit(tmp_path)
    (tmp_path / f"kitti_raw/{DATE[A]}/{A}/image_02").rename(tmp_path / f"train/{A}/image_02")
    (tmp_path / f"train/{A}/image_03/data").mkdir(parents=True)
    check_frames(KittiDepthCompletion(tmp_path, "train", **EVERYTHING))


def test_targets_of_a_part_of_the_frames_are_said_once(tmp_path, caplog):
    devkit(tmp_path)
    (tmp_path / f"train/{A}/proj_depth/groundtruth/image_02/0000000006.png").unlink()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            KittiDepthCompletion(tmp_path, "train", targets=(DEPTH, GRAY_IMAGE))
        KittiDepthCompletion(tmp_path, "train", require_target=True)
    (record,) = caplog.records
    assert "3 frames have a file of the target 'depth' and 1 have none" in record.getMessage()


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_a_broken_file_is_one_line_also_from_a_worker(tmp_path, suffix):
    devkit(tmp_path)
    path = tmp_path / f"train/{A}/proj_depth/groundtruth/image_02/0000000005.png"
    path.unlink()
    path.with_suffix(suffix).write_bytes(b"broken")  # of .npy numpy's own error is the cause
    data = KittiDepthCompletion(tmp_path, "train")
    expected = refusal(lambda: data[0])
    assert f"0000000005{suffix}" in expected
    batches = iter(DataLoader(data, num_workers=1))
    try:
        assert refusal(lambda: next(batches)) == expected
    finally:
        batches._shutdown_workers()  # left to the garbage collector, it takes 5 s


def test_ground_truth_without_sparse_depth_is_left_out(tmp_path):
    devkit(tmp_path)
    (tmp_path / f"train/{A}/proj_depth/velodyne_raw/image_02/0000000006.png").unlink()
    data = KittiDepthCompletion(tmp_path, "train")
    assert len(data) == 3 and data.left_out == 1
    assert "0000000006" not in "".join(data.sample_id(i) for i in range(3))


def test_fields_of_ones_own(tmp_path):
    devkit(tmp_path)
    folder = tmp_path / f"train/{A}/proj_depth"
    sky = np.full((HEIGHT, WIDTH), 128, np.uint8)
    sky[0] = 255
    write(folder / "sky/image_02/0000000005.png", sky)
    write(folder / "classes/image_02/0000000005.png", np.full((HEIGHT, WIDTH), 3, np.uint8))
    np.save(folder / "sky/image_02/0000000006.npy", np.full((HEIGHT, WIDTH), 0.25, np.float32))
    fields = (
        Field("sky", 1, "probability", 255, folder="sky", scale_to_unit=1 / 128),
        Field("classes", 1, "class", 255, "labels", "classes"),
        Field("stereo", 1, "metres", 0, "depth", "stereo", 1 / 256),
        Field("made_by_the_task", 3),
    )
    data = KittiDepthCompletion(tmp_path, "train", targets=fields)
    sample = data[0]["data_samples"]
    assert sample.gt_sky[0, 0].unique().tolist() == [255] and sample.gt_sky[0, 1:].unique().tolist() == [1]
    assert sample.gt_classes.dtype == torch.int64 and sample.gt_classes.shape == (HEIGHT, WIDTH)
    assert sample.gt_classes.unique().tolist() == [3]
    assert sample.gt_stereo.unique().tolist() == [0] and sample.gt_made_by_the_task.shape == (3, HEIGHT, WIDTH)
    assert data[1]["data_samples"].gt_sky.unique().tolist() == [0.25]
    assert data[1]["data_samples"].gt_classes.unique().tolist() == [255]


def test_fields_of_ones_own_in_a_selection(tmp_path):
    selection(tmp_path / "val_selection_cropped")
    write(tmp_path / f"val_selection_cropped/sky/{A}_sky_0000000006_image_02.png", np.ones((HEIGHT, WIDTH), np.uint8))
    data = KittiDepthCompletion(tmp_path, "val_selection_cropped", targets=(Field("sky", unknown=255, folder="sky"),))
    values = {data.sample_id(i): data[i]["data_samples"].gt_sky.unique().tolist() for i in range(4)}
    assert values.pop(f"{A}_image_0000000006_image_02") == [1] and all(value == [255] for value in values.values())


def refusal(call):
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "data_root 'data/kitti' does not exist" in refusal(lambda: KittiDepthCompletion("data/kitti", "val"))
    devkit(tmp_path / "data/kitti")
    text = refusal(lambda: KittiDepthCompletion("data/kitti", "trian"))
    for word in ("'trian'", "data_depth_velodyne/trian", "It holds: train.", "Did you mean 'train'?", "<split>/<drive>"):
        assert word in text
    assert "data_root='data/kitti'" in refusal(lambda: KittiDepthCompletion("data", "train"))
    assert "split='.'" in refusal(lambda: KittiDepthCompletion("data/kitti/train", "train"))
    assert "raw_root 'raw'" in refusal(lambda: KittiDepthCompletion("data/kitti", "train", raw_root="raw"))


def test_missing_inputs_are_said_at_the_start(tmp_path):
    devkit(tmp_path)
    (tmp_path / f"kitti_raw/{DATE[B]}/{B}/image_02/data/0000000011.png").unlink()
    text = refusal(lambda: KittiDepthCompletion(tmp_path, "train", inputs=("sparse_depth", "image")))
    assert "1 of 4 frames" in text and f"{B}_image_02_0000000011" in text and "data_rgb/train" in text
    (tmp_path / f"kitti_raw/{DATE[B]}/calib_cam_to_cam.txt").unlink()
    text = refusal(lambda: KittiDepthCompletion(tmp_path, "train", inputs=("sparse_depth", "intrinsics")))
    assert B in text and "calib_cam_to_cam.txt" in text and f"kitti_raw/{DATE[B]}" in text
    for path in tmp_path.rglob("velodyne_raw/*/*.png"):
        path.unlink()
    text = refusal(lambda: KittiDepthCompletion(tmp_path, "train"))
    assert "no frame with sparse depth" in text and "4 ground-truth maps" in text


def test_sizes_must_agree(tmp_path):
    devkit(tmp_path)
    write(tmp_path / f"train/{A}/proj_depth/groundtruth/image_02/0000000005.png", depth(1, (HEIGHT, WIDTH + 1)))
    data = KittiDepthCompletion(tmp_path, "train")
    text = refusal(lambda: data[0])
    assert "velodyne_raw" in text and "groundtruth" in text and "15x9" in text and "16x9" in text
    write(tmp_path / f"train/{A}/proj_depth/velodyne_raw/image_02/0000000005.png", depth(1, (HEIGHT, WIDTH + 1)))
    data = KittiDepthCompletion(tmp_path, "train", inputs=("sparse_depth", "intrinsics"))
    assert "16x9" in refusal(lambda: data[0])


def test_arguments(tmp_path):
    devkit(tmp_path)
    with pytest.raises(ValueError, match="cameras"):
        KittiDepthCompletion(tmp_path, "train", cameras=(1,))
    assert [KittiDepthCompletion(tmp_path, "train", cameras=[3]).sample_id(i) for i in range(1)] == [f"{A}_image_03_0000000005"]


def test_real_frames(shared):
    root = shared / "data/kitti"
    val = KittiDepthCompletion(root, "val", **EVERYTHING)
    assert len(val) == 24 and val.left_out == 2 and val.count(DEPTH) == 24
    train = KittiDepthCompletion(root, "train", **EVERYTHING)
    assert len(train) == 19 and train.count(DEPTH) == 17
    crop = [{"type": "BottomCrop", "height": 352, "width": 1216}]
    item = KittiDepthCompletion(root, "val", transforms=crop, **EVERYTHING)[0]
    inputs, sample = item["inputs"], item["data_samples"]
    assert sample.sample_id == f"{A}_image_02_0000000005"
    assert inputs["sparse_depth"].shape == sample.gt_depth.shape == sample.gt_image.shape == (1, 352, 1216)
    assert sample.crop_xywh == (13, 23, 1216, 352) and sample.ori_shape == (375, 1242)
    np.testing.assert_allclose(inputs["intrinsics"].numpy()[:2, 2], (609.5593 - 13, 172.8540 - 23), atol=1e-3)
    stored = cv2.imread(str(root / f"val/{A}/proj_depth/velodyne_raw/image_02/0000000005.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(inputs["sparse_depth"][0].numpy(), stored[23:, 13:1229] / 256)
    assert int((val[0]["inputs"]["sparse_depth"] > 0).sum()) == 19154
