"""Readers with valid files to start from, and what must hold of whatever they return."""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import cv2
import numpy as np
import torch

from mtdc.data import calibration
from mtdc.data import io as files
from mtdc.data.camera_file import read_camera
from mtdc.data.cloud_file import read_cloud
from mtdc.data.maps import read_map
from mtdc.data.nyuv2_layout import Hdf5Tree
from mtdc.engine.checkpoint import load_weights, save_weights
from mtdc.errors import UserError
from mtdc.model import MultiTaskModel, build_model
from mtdc.structures import NORMALS
from mtdc.zoo.weights import load_model, save_model

from . import mutations, resuming

SIZE = (9, 13)
#: An error's line is for people.
LONGEST_LINE = 1500
_CAMERAS = b"""calib_time: 09-Jan-2012 13:57:47
S_rect_02: 1.300000e+01 9.000000e+00
R_rect_00: 9.999239e-01 9.83776e-03 -7.445048e-03 -9.869795e-03 9.999421e-01 -4.278459e-03 7.402527e-03 4.351614e-03 0.9999631
P_rect_02: 2.0e+01 0 6.0e+00 4.485728e-01 0 2.0e+01 4.0e+00 2.163791e-02 0 0 1.0e+00 2.745884e-03
"""
_VELODYNE = b"""calib_time: 15-Mar-2012 11:37:16
R: 7.533745e-03 -9.999714e-01 -6.166020e-04 1.480249e-02 7.280733e-04 -9.998902e-01 9.998621e-01 7.523790e-03 1.480755e-02
T: -4.069766e-03 -7.631618e-02 -2.717806e-01
"""
_YAML = b"""image_size: [13, 9]
K: {fx: 20, fy: 20, cx: 6, cy: 4}
rotation: [0, -1, 0, 0, 0, -1, 1, 0, 0]
translation: [-0.004, -0.076, -0.272]
"""
_NETWORK = {
    "type": "MultiTaskNetwork",
    "representation": {"type": "SparseDepth"},
    "encoder": {"type": "MultiKernelEncoder"},
    "trunk": {"type": "TransposedConvTrunk"},
    "sharing": {"type": "NoSharing"},
    "tasks": {"depth": {"type": "DepthTask"}},
}
_JSON = b'{"image_size": [13, 9], "K": [20, 0, 6, 0, 20, 4, 0, 0, 1]}\n'


class Finding(Exception):
    """A reader returned what it must not return, or said its error in a way that it must not."""


@dataclass(frozen=True)
class Target:
    """One reader.

    Args:
        file: Name of the file that it reads.
        seeds: Valid contents.
        read: Reads a file of that name and raises :class:`Finding` where the result is wrong.
        kinds: Ways to break the contents.
        beside: Other files that it wants in the same folder.
    """

    file: str
    seeds: tuple[bytes, ...]
    read: Callable[[Path], None]
    kinds: tuple[mutations.Mutation, ...]
    beside: tuple[tuple[str, bytes], ...] = ()

    def broken(self, random: Random) -> bytes:
        """One of the contents, broken once or twice."""
        content = random.choice(self.kinds)(random, random.choice(self.seeds))
        if random.randrange(4) == 0:
            with contextlib.suppress(Exception):  # the first break may leave nothing that the second knows how to break
                content = random.choice(self.kinds)(random, content or b"\0")
        return content

    def prepare(self, folder: Path) -> Path:
        """Write the files beside, and return where the broken one goes."""
        for name, content in self.beside:
            (folder / name).write_bytes(content)
        path = folder / self.file
        path.parent.mkdir(exist_ok=True)
        return path


def try_reader(target: Target, path: Path) -> str:
    """Read a file that may be broken: 'read' or 'refused'.

    Raises:
        Finding: What is wrong with the result, or with the way in which the file was refused.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning is a second line on stderr
        try:
            target.read(path)
        except UserError as error:
            text = str(error)
            if not text.isprintable() or len(text) > LONGEST_LINE:
                raise Finding(f"the error is no line: {text[:200]!r}") from error
            if str(path) not in text and str(path.parent) not in text:
                raise Finding(f"the error does not name the file: {text}") from error
            return "refused"
        except Finding:
            raise
        except Exception as error:
            raise Finding(f"{type(error).__name__}: {error}"[:500]) from error
    return "read"


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Finding(f"a wrong result: {what}")


def _check_map(values: np.ndarray, channels: int, low: float, high: float, kind: str = "f") -> None:
    _require(values.ndim == (2 if channels == 1 else 3) and values.shape[2:] in ((), (channels,)), f"shape {values.shape}")
    _require(values.size > 0 and values.dtype.kind == kind, f"{values.dtype} {values.shape}")
    _require(bool(np.isfinite(values).all()), "NaN or infinite")
    _require(low <= values.min() and values.max() <= high, f"{values.min()} to {values.max()}")


def _depth(path: Path) -> None:
    _check_map(files.read_depth(path), 1, 0.0, files.FARTHEST_DEPTH_M)


def _image(path: Path) -> None:
    _check_map(files.read_image(path), 3, 0.0, 255.0)


def _labels(path: Path) -> None:
    _check_map(files.read_labels(path), 1, 0, 65535, kind="i")


def _normals(path: Path) -> None:
    _check_map(read_map(path, NORMALS), 3, -1.02, 1.02)


def _velodyne(path: Path) -> None:
    points = files.read_velodyne(path)
    _require(points.ndim == 2 and points.shape[1] == 4 and len(points) > 0, f"shape {points.shape}")
    _require(bool(np.isfinite(points).all()) and np.abs(points[:, :3]).max() <= files.FARTHEST_DEPTH_M, "not metres")


def _cloud(path: Path) -> None:
    points = read_cloud(path)
    _require(points.ndim == 2 and points.shape[1] == 3 and len(points) > 0, f"shape {points.shape}")
    _require(bool(np.isfinite(points).all()), "NaN or infinite")


def _matrix(matrix: np.ndarray) -> None:
    _require(matrix.shape == (3, 3) and matrix.dtype == np.float64, f"{matrix.dtype} {matrix.shape}")
    _require(bool(np.isfinite(matrix).all()) and matrix[0, 0] > 0 and matrix[1, 1] > 0, str(matrix.tolist()))
    _require(bool(np.isfinite(np.linalg.inv(matrix)).all()), f"no inverse of {matrix.tolist()}")


def _intrinsics(path: Path) -> None:
    _matrix(calibration.read_intrinsics(path))


def _project(path: Path) -> None:
    camera = read_camera(path)
    _matrix(camera.intrinsics)
    if camera.from_lidar is not None:
        points = np.array([[10.0, 0, 0], [10.0, 1, -1], [-5.0, 0, 0], [2.0, 0.1, 0.1]])
        _check_map(camera.sparse_depth(points), 1, 0.0, 1000.0)


def _calibration(path: Path) -> None:
    _project(path.parent)


@functools.cache
def _model() -> MultiTaskModel:
    return build_model({"width": 1, "network": _NETWORK})


def _checkpoint(path: Path) -> None:
    model = copy.deepcopy(_model())
    load_weights(model, path)
    _require(all(bool(torch.isfinite(value).all()) for value in model.state_dict().values()), "weights with NaN")


def _weights(path: Path) -> None:
    model, _ = load_model(path)
    _require(all(bool(torch.isfinite(value).all()) for value in model.state_dict().values()), "weights with NaN")


def _hdf5(path: Path) -> None:
    source = Hdf5Tree(path.parents[1])
    _check_map(source.depth(0), 1, 0.0, 100.0)
    _check_map(source.image(0), 3, 0, 255)


def _png(array: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", array)[1])


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _ply(points: np.ndarray, binary: bool) -> bytes:
    form = "binary_little_endian" if binary else "ascii"
    header = f"ply\nformat {form} 1.0\nelement vertex {len(points)}\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    return header.encode() + (points.astype("<f4").tobytes() if binary else _words(points))


def _pcd(points: np.ndarray, form: str) -> bytes:
    header = (
        f"VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {len(points)}\nHEIGHT 1\nPOINTS {len(points)}\n"
    )
    body = _words(points)
    if form == "binary":
        body = points.astype("<f4").tobytes()
    elif form == "binary_compressed":
        plain = points.T.astype("<f4").tobytes()
        packed = b"".join(bytes([len(plain[at : at + 32]) - 1]) + plain[at : at + 32] for at in range(0, len(plain), 32))
        body = np.array([len(packed), len(plain)], "<u4").tobytes() + packed
    return (header + f"DATA {form}\n").encode() + body


def _words(points: np.ndarray) -> bytes:
    return "".join(" ".join(f"{value:.3f}" for value in point) + "\n" for point in points).encode()


def _checkpoints(folder: Path) -> tuple[bytes, ...]:
    path = folder / "seed.pth"
    save_weights(_model(), path, {"epoch": 3, "iter": 30, "seed": 0})
    weights = path.read_bytes()
    state = {
        "state_dict": _model().state_dict(),
        "meta": {"epoch": 1, "cfg": "a = 1"},
        "optimizer": {"state": {0: {"step": torch.ones(1)}}},
    }
    torch.save(state, path)
    return weights, path.read_bytes()


def _weights_files(folder: Path) -> tuple[bytes, ...]:
    path, files = folder / "seed.safetensors", []
    cfg = {"width": 1, "network": _NETWORK}
    for half in (True, False):
        save_model(build_model(cfg).strip(("depth",)), cfg, path, half=half)
        files.append(path.read_bytes())
    return tuple(files)


def _hdf5_file(folder: Path, depth: np.ndarray, photo: np.ndarray) -> bytes:
    import h5py  # type: ignore[import-untyped]

    path = folder / "seed.h5"
    with h5py.File(path, "w") as file:
        file["depth"], file["rgb"] = depth, photo.transpose(2, 0, 1)
    return path.read_bytes()


def all_targets(folder: Path) -> dict[str, Target]:
    """Every reader by name; ``folder`` takes a file for a moment."""
    random = np.random.default_rng(0)
    height, width = SIZE
    stored = (random.integers(256, 20000, SIZE) * (random.random(SIZE) < 0.3)).astype(np.uint16)
    photo = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    normals = random.normal(size=(height, width, 3))
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    scan = random.uniform(1, 40, (12, 4)).astype("<f4")
    matrix = np.array([[20, 0, 6], [0, 20, 4], [0, 0, 1.0]])
    calib = ("calib_cam_to_cam.txt", _CAMERAS), ("calib_velo_to_cam.txt", _VELODYNE)
    jpegs = tuple(
        bytes(cv2.imencode(".jpg", photo, [flag, 1])[1]) for flag in (cv2.IMWRITE_JPEG_OPTIMIZE, cv2.IMWRITE_JPEG_PROGRESSIVE)
    )
    clouds = tuple(_pcd(scan[:, :3], form) for form in ("ascii", "binary", "binary_compressed"))
    return {
        "depth_png": Target("depth.png", (_png(stored), _png(stored[:3, :5])), _depth, mutations.PNG),
        "photo_png": Target("photo.png", (_png(photo), _png(photo[..., 0])), _image, mutations.PNG),
        "photo_jpeg": Target("photo.jpg", jpegs, _image, mutations.ANY),
        "labels_png": Target("labels.png", (_png(photo[..., 0]),), _labels, mutations.PNG),
        "normals_png": Target("normals.png", (_png(photo),), _normals, mutations.PNG),
        "depth_npy": Target("depth.npy", (_npy(stored / 256), _npy((stored / 256).astype(np.float32))), _depth, mutations.NPY),
        "normals_npy": Target("normals.npy", (_npy(normals),), _normals, mutations.NPY),
        "velodyne": Target("scan.bin", (scan.tobytes(),), _velodyne, mutations.ANY),
        "ply": Target("scan.ply", (_ply(scan[:, :3], False), _ply(scan[:, :3], True)), _cloud, mutations.ANY),
        "pcd": Target("scan.pcd", clouds, _cloud, mutations.ANY),
        "cameras": Target(*calib[0][:1], calib[0][1:], _calibration, mutations.TEXT, calib[1:]),
        "velodyne_to_camera": Target(*calib[1][:1], calib[1][1:], _calibration, mutations.TEXT, calib[:1]),
        "camera_yaml": Target("camera.yaml", (_YAML,), _project, mutations.TEXT),
        "camera_json": Target("camera.json", (_JSON,), _project, mutations.TEXT),
        "intrinsics": Target("K.txt", (b"20 0 6 0 20 4 0 0 1\n", b"20 20 6 4"), _intrinsics, mutations.TEXT),
        "intrinsics_npy": Target("K.npy", (_npy(matrix), _npy(matrix.astype(np.float32))), _intrinsics, mutations.NPY),
        "checkpoint": Target("epoch_1.pth", _checkpoints(folder), _checkpoint, mutations.CHECKPOINT),
        "weights": Target("model.safetensors", _weights_files(folder), _weights, mutations.ANY),
        "hdf5": Target("scene/00001.h5", (_hdf5_file(folder, stored / 2560, photo),), _hdf5, mutations.ANY),
        "resume": Target(resuming.FILE, resuming.seeds(folder), resuming.reader(folder), (resuming.change_values,)),
    }
