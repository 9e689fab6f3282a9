"""Every registered data set keeps the contract, on a tree that this file knows how to make."""

import pickle
import re

import cv2
import numpy as np
import pytest
import torch

from mtdc.registry import DATASETS, build
from mtdc.structures import DEPTH, GRAY_IMAGE, SEMANTICS, DepthSample, Field

SKY = Field("sky", 1, "probability", 255, folder="sky")


def _write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, array)[1].tobytes())


def _kitti(root):
    """Three frames of odd size; the last has no ground truth."""
    rng = np.random.default_rng(0)
    drive = root / "val/2011_09_26_drive_0001_sync"
    for number in range(3):
        depth = rng.integers(256, 20000, (11, 17), dtype=np.uint16)
        sparse = np.where(rng.random(depth.shape) < 0.2, depth, 0).astype(np.uint16)
        _write(drive / f"proj_depth/velodyne_raw/image_02/{number:010d}.png", sparse)
        if number < 2:
            _write(drive / f"proj_depth/groundtruth/image_02/{number:010d}.png", depth)
        _write(drive / f"image_02/data/{number:010d}.png", rng.integers(0, 255, (11, 17, 3), dtype=np.uint8))
    (drive / "calib_cam_to_cam.txt").write_text("S_rect_02: 17 11\nP_rect_02: 20 0 8 0 0 20 5 0 0 0 1 0\n")
    return {"data_root": root, "split": "val"}


def _street(root):
    """Nothing on disk: three small frames, drawn."""
    return {"length": 3, "size": (31, 90), "layouts": ("country", "motorway"), "lidar": {"step": 0.8}}


def _rooms(root):
    """Nothing on disk: three small frames, drawn."""
    return {"length": 3, "size": (31, 45)}


def _nyuv2(root):
    """Two frames as pictures; the second has no labels."""
    rng = np.random.default_rng(0)
    for number in range(2):
        _write(root / f"train/depth/{number:04d}.png", rng.integers(700, 9999, (228, 304), dtype=np.uint16))
        _write(root / f"train/rgb/{number:04d}.png", rng.integers(0, 255, (228, 304, 3), dtype=np.uint8))
    _write(root / "train/label/0000.png", rng.integers(0, 40, (228, 304), dtype=np.uint8))
    return {"data_root": root, "split": "train"}


def _void(root):
    rng = np.random.default_rng(0)
    lists = {kind: [] for kind in ("image", "sparse_depth", "ground_truth", "intrinsics")}
    for number in range(2):
        folder = root / "void_release/void_150/data/stairs0"
        for kind in ("sparse_depth", "ground_truth"):
            _write(folder / kind / f"155.{number}.png", rng.integers(200, 1500, (11, 17), dtype=np.uint16))
        _write(folder / f"image/155.{number}.png", rng.integers(0, 255, (11, 17, 3), dtype=np.uint8))
        for kind, lines in lists.items():
            last = "K.txt" if kind == "intrinsics" else f"{kind}/155.{number}.png"
            lines.append(f"void_release/void_150/data/stairs0/{last}")
    (folder / "K.txt").write_text("20 0 8\n0 20 5\n0 0 1\n")
    for kind, lines in lists.items():
        (root / f"void_release/void_150/test_{kind}.txt").write_text("\n".join(lines) + "\n")
    return {"data_root": root, "split": "test", "density": 150}


def _virtual_kitti(root):
    rng = np.random.default_rng(0)
    frames = root / "Scene20/clone/frames"
    for number in range(2):
        depth = rng.integers(200, 9000, (11, 17), dtype=np.uint16)
        depth[0] = 65535
        _write(frames / f"depth/Camera_0/depth_{number:05d}.png", depth)
        _write(frames / f"rgb/Camera_0/rgb_{number:05d}.jpg", rng.integers(0, 255, (11, 17, 3), dtype=np.uint8))
    table = ["frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]", *(f"{n} {c} 20.5 20.5 8 5" for n in range(2) for c in range(2))]
    (root / "Scene20/clone/intrinsic.txt").write_text("\n".join(table) + "\n")
    return {"data_root": root, "split": "val"}


def _folder(root):
    rng = np.random.default_rng(0)
    for name in ("a", "b_2.5"):
        _write(root / f"mine/depth/{name}.png", rng.integers(200, 9000, (11, 17), dtype=np.uint16))
        _write(root / f"mine/image/{name}.jpg", rng.integers(0, 255, (11, 17, 3), dtype=np.uint8))
    _write(root / "mine/gt/a.png", rng.integers(200, 9000, (11, 17), dtype=np.uint16))
    (root / "mine/intrinsics.txt").write_text("20 20 8 5\n")
    return {"data_root": root, "split": "mine", "depth_scale": 1000.0}


def _mixed(root):
    """A plain folder, twice an epoch, beside drawn streets."""
    streets = {"type": "StreetWorld", **_street(root)}
    return {"parts": {"street": streets, "mine": {"type": "Folder", **_folder(root)}}, "times": {"mine": 2}}


#: Makes a tree of at least two frames in a folder and returns the arguments that open it.
TREES = {
    "KittiDepthCompletion": _kitti,
    "StreetWorld": _street,
    "DrawnRooms": _rooms,
    "NYUv2": _nyuv2,
    "VOID": _void,
    "VirtualKITTI2": _virtual_kitti,
    "Folder": _folder,
    "MixedFrames": _mixed,
}


def names():
    found = DATASETS.names()
    assert found
    return found


@pytest.fixture(params=names())
def open_data(request, tmp_path):
    assert request.param in TREES, f"add a tree for {request.param} to TREES in {__file__}"
    arguments = TREES[request.param](tmp_path)

    def opened(**more):
        return build(DATASETS, {"type": request.param, **arguments}, "dataset", **more)

    return opened


def same(a, b):
    assert a["inputs"].keys() == b["inputs"].keys()
    for key, value in a["inputs"].items():
        assert torch.equal(value, b["inputs"][key]), key
    assert list(a["data_samples"].keys()) == list(b["data_samples"].keys())
    for key, value in a["data_samples"].items():
        assert torch.equal(value, b["data_samples"].get(key)), key
    assert a["data_samples"].metainfo == b["data_samples"].metainfo


def test_every_frame_has_the_shapes_and_types_of_the_field_table(open_data):
    data = open_data(inputs=("sparse_depth", "image", "intrinsics"), targets=(DEPTH, GRAY_IMAGE, SEMANTICS, SKY))
    assert len(data) >= 2 and data.metainfo["dataset"]
    for i in range(len(data)):
        item = data[i]
        assert item.keys() == {"inputs", "data_samples"} and isinstance(item["data_samples"], DepthSample)
        inputs, sample = item["inputs"], item["data_samples"]
        assert inputs.keys() == {"sparse_depth", "image", "intrinsics"}
        assert set(sample.keys()) == {"gt_depth", "gt_image", "gt_semantics", "gt_sky"}
        height, width = inputs["sparse_depth"].shape[-2:]
        for value, channels in ((inputs["sparse_depth"], 1), (inputs["image"], 3), (sample.gt_depth, 1), (sample.gt_image, 1)):
            assert value.shape == (channels, height, width) and value.dtype == torch.float32 and value.is_contiguous()
        assert sample.gt_sky.shape == (1, height, width)
        assert sample.gt_semantics.shape == (height, width) and sample.gt_semantics.dtype == torch.int64
        k = inputs["intrinsics"]
        assert k.shape == (3, 3) and k.dtype == torch.float32 and k[2].tolist() == [0, 0, 1] and k[0, 0] > 0
        assert sample.metainfo.keys() >= {"dataset", "sample_id", "ori_shape", "crop_xywh", "scale", "flip", "pad_lrtb"}
        assert sample.ori_shape == (height, width) and sample.sample_id == data.sample_id(i)


def test_values_are_in_physical_units_or_unknown(open_data):
    data = open_data(inputs=("sparse_depth", "image"), targets=(DEPTH, GRAY_IMAGE, SEMANTICS, SKY))
    for i in range(len(data)):
        inputs, sample = data[i]["inputs"], data[i]["data_samples"]
        for depth in (inputs["sparse_depth"], sample.gt_depth):
            assert torch.isfinite(depth).all() and depth.min() >= 0 and depth.max() < 1000
        assert (inputs["sparse_depth"] > 0).any() and inputs["image"].min() >= 0 and 1 < inputs["image"].max() <= 255
        red, green, blue = inputs["image"]
        known = sample.gt_image[0] != -1
        np.testing.assert_allclose(sample.gt_image[0][known], (0.299 * red + 0.587 * green + 0.114 * blue)[known], atol=1e-3)
        for value, unknown in ((sample.gt_semantics, 255), (sample.gt_sky, 255)):
            assert (value == unknown).all() or (value != unknown).any()


def test_names_are_unique_and_fit_for_files(open_data):
    data = open_data()
    found = [data.sample_id(i) for i in range(len(data))]
    assert len(set(found)) == len(data) and all(re.fullmatch(r"[\w.-]+", name) for name in found)


def test_indices(open_data):
    steps = [{"type": "RandomFlip"}, {"type": "RandomPointDropout", "ratio": 0.5}]
    data = open_data(transforms=steps, seed=3)
    same(data[1], data[1])  # evaluation: by the frame's name
    same(data[1, 4], data[1, 4])
    plain = open_data()
    same(plain[1], plain[1, 0])
    same(data[-1], data[len(data) - 1])
    drawn = [data[0, epoch]["inputs"]["sparse_depth"] for epoch in range(4)]
    assert any(not torch.equal(drawn[0], other) for other in drawn[1:]), "random choices don't depend on the epoch"
    assert not all(torch.equal(drawn[e], open_data(transforms=steps, seed=4)[0, e]["inputs"]["sparse_depth"]) for e in range(4))
    with pytest.raises(IndexError):
        data[len(data)]


def test_workers_get_the_same_data_set(open_data):
    data = open_data(inputs=("sparse_depth", "image", "intrinsics"), transforms=[{"type": "RandomFlip"}])
    copied = pickle.loads(pickle.dumps(data))
    assert len(copied) == len(data)
    for i in range(len(data)):
        same(copied[i, 2], data[i, 2])
