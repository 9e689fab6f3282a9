"""Virtual KITTI 2: drawn copies of five KITTI drives (Cabon, Murray and Humenberger, 2020; Gaidon et al., CVPR 2016).

    depth [m] = stored 16-bit value / 100, 65535 = sky = none        K from intrinsic.txt, a line a frame and camera

Shapes      sparse_depth, gt_depth (1, 375, 1242) metres, dense; image (3, 375, 1242) RGB 0..255; intrinsics (3, 3) pixels.
Test time   split="val" is Scene20; there is no sparse depth: it is the whole depth map until a transform draws from it.
Differs     the data set has no split of its own.
Cost        the listing of folders at the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...contracts import Transform
from ...errors import DataError, did_you_mean
from ...registry import DATASETS
from ...structures import DEPTH, SPARSE_DEPTH, Field, Frame
from ..calibration import check_intrinsics
from ..listed import ListedDataset, ListedFrame
from ..raw_bytes import text_of

SPLITS = {"train": ("Scene01", "Scene02", "Scene06", "Scene18"), "val": ("Scene20",)}
CENTIMETRES = 100.0
_SKY_M = 65535 / CENTIMETRES


@DATASETS.register_module()
class VirtualKITTI2(ListedDataset):
    """Frames of scenes, weathers and cameras.

    Args:
        data_root: Folder that holds ``Scene01`` and so on.
        split: "train" (scenes 1, 2, 6, 18), "val" (scene 20), "all", or a scene's name.
        variants: Weathers and views to take ("clone", "fog", "rain", "15-deg-left", ...); None: all that are there.
        cameras: 0 (left), 1 (right), or both.
        inputs, targets, transforms, seed: As in every data set.

    Raises:
        DataError: A scene, variant, camera or an input's file is missing.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"dataset": "virtual_kitti_2"}

    def __init__(
        self,
        data_root: str | Path,
        split: str,
        variants: Sequence[str] | None = ("clone",),
        cameras: Sequence[int] = (0,),
        inputs: Sequence[Field | str] = (SPARSE_DEPTH,),
        targets: Sequence[Field] = (DEPTH,),
        transforms: Sequence[Mapping[str, Any] | Transform] = (),
        seed: int = 0,
    ) -> None:
        if not cameras or not set(cameras) <= {0, 1}:
            raise ValueError(f"cameras must be 0, 1 or both, not {tuple(cameras)}")
        root = Path(data_root).expanduser()
        self.split = split
        self._cameras: dict[Path, dict[tuple[int, int], np.ndarray]] = {}
        super().__init__(_frames(root, split, variants, cameras), root, CENTIMETRES, inputs, targets, transforms, seed)

    def load(self, index: int) -> Frame:
        """The frame's maps, with the sky's depth unknown."""
        frame = super().load(index)
        for key, row in self.rows.items():
            if row.kind == "depth":
                depth = frame.maps[key]
                frame.maps[key] = np.where(depth >= np.float32(_SKY_M) - 0.001, np.float32(row.unknown), depth)
        return frame

    def intrinsics_file(self, frame: ListedFrame) -> Path | None:
        """The variant's ``intrinsic.txt``."""
        table = _table_of(frame)
        return table if table.is_file() else None

    def intrinsics(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """Of the frame's line in ``intrinsic.txt``."""
        path, table = self.frames[index].files["depth"], _table_of(self.frames[index])
        if table not in self._cameras:
            self._cameras[table] = _read_table(table)
        key = (int(path.stem.rpartition("_")[2]), int(path.parent.name.rpartition("_")[2]))
        if key not in self._cameras[table]:
            raise DataError(f"{table} has no line of frame {key[0]} and camera {key[1]}.")
        return self._cameras[table][key]


def _frames(root: Path, split: str, variants: Sequence[str] | None, cameras: Sequence[int]) -> list[ListedFrame]:
    scenes = sorted(path.name for path in root.glob("Scene*") if path.is_dir())
    if not scenes:
        raise DataError(
            f"Virtual KITTI 2: {root} holds no folder Scene01, Scene02 ...; expected where the archives were unpacked."
        )
    wanted = scenes if split == "all" else [name for name in SPLITS.get(split, (split,)) if name in scenes]
    if not wanted:
        raise DataError(
            f"Virtual KITTI 2: {root} has nothing of split '{split}'; it has {', '.join(scenes)}."
            f"{did_you_mean(split, [*SPLITS, 'all', *scenes])}"
        )
    frames = []
    for scene in wanted:
        there = sorted(path.name for path in (root / scene).iterdir() if (path / "frames").is_dir())
        for variant in there if variants is None else variants:
            if variant not in there:
                raise DataError(f"Virtual KITTI 2: {root / scene} has no variant '{variant}'.{did_you_mean(variant, there)}")
            for camera in cameras:
                frames += _frames_of(root / scene / variant / "frames", f"{scene}_{variant}", camera)
    return frames


def _frames_of(folder: Path, name: str, camera: int) -> list[ListedFrame]:
    depth = folder / "depth" / f"Camera_{camera}"
    files = sorted(depth.glob("depth_*.png"))
    if not files:
        raise DataError(f"Virtual KITTI 2: {depth} holds no depth_*.png; is the archive of depth not unpacked?")
    photos = {path.stem.rpartition("_")[2]: path for path in (folder / "rgb" / depth.name).glob("rgb_*.*")}
    frames = []
    for path in files:
        number = path.stem.rpartition("_")[2]
        listed = {"sparse_depth": path, "depth": path}
        if number in photos:
            listed["image"] = photos[number]
        frames.append(ListedFrame(f"{name}_{camera}_{number}", listed))
    return frames


def _table_of(frame: ListedFrame) -> Path:
    return frame.files["depth"].parents[3] / "intrinsic.txt"


def _read_table(path: Path) -> dict[tuple[int, int], np.ndarray]:
    """``frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]`` a line, below a line of these words."""
    cameras = {}
    for line in text_of(path, "intrinsics").splitlines():
        words = line.split()
        if not words or words[0] == "frame":
            continue
        try:
            frame, camera = int(words[0]), int(words[1])
            fx, fy, cx, cy = (float(word) for word in words[2:])
        except (ValueError, IndexError) as error:
            raise DataError(f"intrinsics {path}: the line '{line[:60]}'; expected frame, camera, fx, fy, cx, cy.") from error
        cameras[frame, camera] = check_intrinsics(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), f"intrinsics {path}")
    return cameras
