"""Readers and writers against files made with cv2, numpy and plain bytes."""

import json
import struct
import zlib

import cv2
import numpy as np
import pytest

from mtdc.data import io
from mtdc.data.maps import read_map
from mtdc.errors import DataError
from mtdc.structures import GRAY_IMAGE


def png(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", array)[1].tobytes())
    return path


def refused(call, *words):
    with pytest.raises(DataError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert str(word) in text
    return text


def test_depth_png_is_metres(tmp_path):
    path = png(tmp_path / "Straße 1.png", np.array([[0, 256, 1], [65535, 2560, 257]], dtype=np.uint16))
    depth = io.read_depth_png(path)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, [[0, 1, 1 / 256], [255.99609375, 10, 257 / 256]])


def test_depth_png_refuses_what_is_no_depth(tmp_path):
    refused(lambda: io.read_depth_png(tmp_path / "none.png"), "none.png", "does not exist")
    refused(lambda: io.read_depth_png(tmp_path), tmp_path.name, "can't be opened")
    (tmp_path / "empty.png").write_bytes(b"")
    refused(lambda: io.read_depth_png(tmp_path / "empty.png"), "0 bytes")
    (tmp_path / "text.png").write_text("no picture at all")
    refused(lambda: io.read_depth_png(tmp_path / "text.png"), "text.png", "no image format")
    refused(lambda: io.read_depth_png(png(tmp_path / "8.png", np.zeros((4, 5), np.uint8))), "8-bit", "16-bit")
    refused(lambda: io.read_depth_png(png(tmp_path / "3.png", np.zeros((4, 5, 3), np.uint16))), "3 channels")


@pytest.mark.parametrize("missing", [1, 40, 3000])
def test_files_cut_short_are_refused_quietly(tmp_path, capfd, missing):
    rng = np.random.default_rng(0)
    depth = png(tmp_path / "depth.png", rng.integers(0, 65535, (50, 61), dtype=np.uint16))
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(cv2.imencode(".jpg", rng.integers(0, 255, (90, 91, 3), dtype=np.uint8))[1].tobytes())
    for path, read in ((depth, io.read_depth_png), (photo, io.read_image)):
        path.write_bytes(path.read_bytes()[:-missing])
        refused(lambda path=path, read=read: read(path), path.name, "cut short")
    assert capfd.readouterr().err == ""


def test_damaged_png_is_refused(tmp_path):
    path = png(tmp_path / "depth.png", np.random.default_rng(0).integers(0, 65535, (50, 61), dtype=np.uint16))
    data = bytearray(path.read_bytes())
    data[2000:2100] = bytes(100)
    path.write_bytes(data)
    refused(lambda: io.read_depth_png(path), "damaged PNG")


def test_npy_depth(tmp_path):
    path = tmp_path / "depth.npy"
    np.save(path, np.array([[0.0, 1.5], [80.25, 3.0]]))
    depth = io.read_depth(path)
    assert depth.dtype == np.float32 and depth[1, 0] == 80.25
    for array, words in (
        (np.array([[np.nan, 1.0]]), ("NaN", "1 values")),
        (np.array([[-1.0, 1.0]]), ("negative", "-1")),
        (np.array([[12345.0]]), ("12345", "millimetres")),
        (np.zeros((1, 4, 5)), ("(1, 4, 5)", "(H, W)", "without batch")),
        (np.zeros((0, 5)), ("(0, 5)", "(H, W)")),
        (np.ones((4, 5), np.uint16), ("uint16", "float", "by 256", "by 1000")),
    ):
        np.save(path, array)
        refused(lambda: io.read_depth(path), path, *words)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused(lambda: io.read_depth(path), path, "plain .npy")
    refused(lambda: io.read_depth(tmp_path / "depth.exr"), ".exr", ".npy")
    refused(lambda: io.read_depth(tmp_path / "missing.npy"), "does not exist")
    np.savez(tmp_path / "several.npz", a=np.ones((4, 5)))
    (tmp_path / "several.npz").rename(path)
    refused(lambda: io.read_depth(path), path, "several arrays")


def test_photos_are_told_from_depth_by_the_header(tmp_path):
    def is_depth(name, array):
        return io.is_depth_png(png(tmp_path / name, array))

    assert is_depth("depth.png", np.zeros((4, 5), np.uint16))
    assert not is_depth("gray.png", np.zeros((4, 5), np.uint8))
    assert not is_depth("color.png", np.zeros((4, 5, 3), np.uint8))
    assert not is_depth("normals.png", np.zeros((4, 5, 3), np.uint16))
    # What is wrong with these is said by the one who reads them.
    for name, content in (
        ("empty.png", b""),
        ("text.png", b"no picture at all, but long enough"),
        ("cut.png", b"\x89PNG\r\n\x1a\n"),
    ):
        (tmp_path / name).write_bytes(content)
        assert io.is_depth_png(tmp_path / name)
    assert io.is_depth_png(tmp_path / "missing.png")


def test_depth_png_is_written_as_the_benchmark_wants_it(tmp_path):
    path = tmp_path / "new folder" / "depth.png"
    io.write_depth_png(path, np.array([[0.0, 0.001, 1.0], [1.0 / 512, 300.0, 10.003]]))
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, [[1, 1, 256], [1, 65535, 2561]])
    io.write_depth_png(path, np.array([[0.0, 0.001, 2.0]]), zero_is_empty=True)
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), [[0, 1, 512]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5])
def test_depth_that_is_no_depth_is_not_written(tmp_path, bad):
    path = tmp_path / "depth.png"
    path.write_bytes(b"old")
    refused(lambda: io.write_depth_png(path, np.array([[1.0, bad]])), path)
    refused(lambda: io.write_depth_png(path, np.ones((1, 2, 2))), path, "(1, 2, 2)")
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["depth.png"]


def test_images_are_rgb(tmp_path):
    bgr = np.zeros((5, 7, 3), np.uint8)
    bgr[0, 0] = (10, 20, 200)
    image = io.read_image(png(tmp_path / "photo.png", bgr))
    assert image.shape == (5, 7, 3) and image.dtype == np.float32
    np.testing.assert_array_equal(image[0, 0], (200, 20, 10))
    gray = read_map(tmp_path / "photo.png", GRAY_IMAGE)
    assert gray.shape == (5, 7) and gray.dtype == np.float32
    assert gray[0, 0] == pytest.approx(0.299 * 200 + 0.587 * 20 + 0.114 * 10, abs=1e-4)


def test_jpeg_and_gray_photo(tmp_path):
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (33, 1))
    (tmp_path / "photo.JPG").write_bytes(
        cv2.imencode(".jpg", cv2.merge([ramp] * 3), [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    )
    assert np.abs(io.read_image(tmp_path / "photo.JPG") - ramp[..., None]).max() <= 2
    np.testing.assert_allclose(read_map(png(tmp_path / "gray.png", ramp), GRAY_IMAGE), ramp, atol=1e-4)


def test_labels(tmp_path):
    stored = np.array([[0, 255], [7, 1]], np.uint8)
    labels = io.read_labels(png(tmp_path / "labels.png", stored))
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, stored)
    assert io.read_labels(png(tmp_path / "many.png", np.array([[30000]], np.uint16)))[0, 0] == 30000
    refused(lambda: io.read_labels(png(tmp_path / "rgb.png", np.zeros((3, 3, 3), np.uint8))), "3 channels", "people")
    (tmp_path / "labels.jpg").write_bytes(cv2.imencode(".jpg", stored)[1].tobytes())
    refused(lambda: io.read_labels(tmp_path / "labels.jpg"), "no PNG")


def test_palette_and_one_bit_labels_are_refused(tmp_path):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def write(name, bits, color_type, extra):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, bits, color_type, 0, 0, 0))
        body = chunk(b"IDAT", zlib.compress(b"\0\x80")) + chunk(b"IEND", b"")
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + header + extra + body)

    write("palette.png", 8, 3, chunk(b"PLTE", bytes(range(256)) * 3))
    write("bit.png", 1, 0, b"")
    refused(lambda: io.read_labels(tmp_path / "palette.png"), "palette")
    refused(lambda: io.read_labels(tmp_path / "bit.png"), "1-bit")


def test_velodyne(tmp_path):
    points = np.arange(12, dtype="<f4")
    (tmp_path / "scan.bin").write_bytes(points.tobytes())
    np.testing.assert_array_equal(io.read_velodyne(tmp_path / "scan.bin"), points.reshape(3, 4))
    (tmp_path / "scan.bin").write_bytes(points.tobytes()[:-4])
    refused(lambda: io.read_velodyne(tmp_path / "scan.bin"), "44 bytes", "16")


def test_png_of_colours(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (4, 5, 3), dtype=np.uint8)
    io.write_png(tmp_path / "panel.png", image)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "panel.png"))[..., ::-1], image)
    refused(lambda: io.write_png(tmp_path / "panel.png", image / 255.0), "float64", "uint8")
    refused(lambda: io.write_png(tmp_path / "panel.jpg", image), ".png")


def test_cloud(tmp_path):
    from plyfile import PlyData

    points = np.array([[1.5, -2.0, 3.0], [4.0, 5.0, 6.25]])
    io.write_cloud(tmp_path / "cloud.ply", points, np.array([[255, 0, 7], [1, 2, 3]], np.uint8))
    head = (tmp_path / "cloud.ply").read_bytes()
    assert b"format binary_little_endian 1.0" in head
    vertices = PlyData.read(str(tmp_path / "cloud.ply"))["vertex"]
    np.testing.assert_array_equal(np.stack([vertices[axis] for axis in "xyz"], axis=1), points)
    assert vertices["red"].tolist() == [255, 1] and vertices["blue"].tolist() == [7, 3]
    io.write_cloud(tmp_path / "plain.ply", points)
    assert [p.name for p in PlyData.read(str(tmp_path / "plain.ply"))["vertex"].properties] == ["x", "y", "z"]
    refused(lambda: io.write_cloud(tmp_path / "x.ply", points[:, :2]), "(2, 2)")
    refused(lambda: io.write_cloud(tmp_path / "x.ply", points, points), "float64")


def test_json_has_no_nan(tmp_path):
    io.write_json(
        tmp_path / "a.json", {"x": np.float32(1.5), "y": [float("nan"), np.arange(2)], 3: tmp_path, "z": (True, None)}
    )
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "x": 1.5,
        "y": [None, [0, 1]],
        "3": str(tmp_path),
        "z": [True, None],
    }


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail():
        with io.atomic_path(path) as temporary:
            temporary.write_text("half")
            assert path.read_text() == "old" and temporary.parent == tmp_path and temporary.suffix == ".txt"
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with path.open() as reader:
        with io.atomic_path(path) as temporary:
            temporary.write_text("new")
        assert reader.read() == "old", "who has the old file open must not see it change"
    (tmp_path / "plain.txt").write_text("x")
    assert path.read_text() == "new" and path.stat().st_mode == (tmp_path / "plain.txt").stat().st_mode
    refused(lambda: io.write_json(tmp_path / "plain.txt" / "a.json", {}), "can't write")
    refused(lambda: io.write_json(tmp_path, {}), "folder")


def test_real_depth_agrees_with_an_independent_decoder(shared):
    image = pytest.importorskip("PIL.Image")
    path = shared / "data/kitti/val/2011_09_26_drive_0001_sync/proj_depth/groundtruth/image_02/0000000005.png"
    np.testing.assert_array_equal(io.read_depth_png(path), np.asarray(image.open(path)).astype(np.float64) / 256)
