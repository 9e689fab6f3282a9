"""What answers a frame with depth: a network, a method without weights, or a folder of depth maps made elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..contracts import Transform
from ..data.io import read_depth_png
from ..engine.pairing import Identity, fitting, kitti_identity
from ..engine.runs import load_trained
from ..errors import ConfigError, DataError
from ..model import MultiTaskModel, build_model, find_device
from ..registry import TRANSFORMS, build
from ..structures import DEPTH, DEPTH_CONFIDENCE, SPARSE_DEPTH, DepthSample, Field, Frame
from ..zoo.weights import load_model
from .entries import Entry, depth_pngs


class Prediction(NamedTuple):
    """An answer to one frame.

    Args:
        depth: ``(H, W)`` float32 metres, of the frame's size after its transforms.
        deviation: ``(H, W)`` float32 metres, the error that the model expects (standard deviation); None where it expects none.
    """

    depth: np.ndarray
    deviation: np.ndarray | None = None


class Predictor(ABC):
    """Answers frames one at a time.

    Args:
        entry: What it was made from.
    """

    #: What a data set must load for it.
    inputs: tuple[Field, ...] = (SPARSE_DEPTH,)
    #: Whether it computes its answer from the input: what is done to the input then changes it.
    computes = True

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.name = entry.name

    def check(self, frames: Sequence[str]) -> None:
        """Refuse, before any work, what can't answer these frames, given by name.

        Raises:
            DataError: A folder lacks one of them.
        """
        return

    @abstractmethod
    def __call__(self, item: Mapping[str, Any]) -> Prediction:
        """The answer to what a data set gives for one frame, ``{"inputs": ..., "data_samples": ...}``; item is not changed.

        Raises:
            DataError: There is no answer, or it has another size than the frame.
        """


class ModelPredictor(Predictor):
    """A config with its weights, as ``mtdc test`` runs it, or a model of the zoo.

    Args:
        entry: With a config, or described by its weights file.
        device: Where it runs; None: a GPU where there is one.
        strip: Drop what depth doesn't need.

    Raises:
        ConfigError: Weights are missing or given to a method without any, or the network predicts no depth.
        DataError: The checkpoint is broken or belongs to another config.
    """

    def __init__(self, entry: Entry, device: str | torch.device | None = None, strip: bool = True) -> None:
        super().__init__(entry)
        self.device = find_device(device)
        self.model: MultiTaskModel
        if entry.described and entry.checkpoint is not None:
            self.model, _ = load_model(entry.checkpoint)
        elif entry.config is not None:
            self.model = build_model(entry.config.model)
        else:
            raise ValueError(f"{entry.name} has no config")
        if DEPTH.name not in self.model.network.fields:
            known = ", ".join(self.model.network.fields) or "nothing"
            raise ConfigError(f"{entry.name}: the network predicts {known}, and no depth.")
        if not entry.described:
            load_trained(self.model, entry.checkpoint)
        if strip:
            self.model.strip(keep=(DEPTH.name,))
        self.model = self.model.to(self.device).eval()
        self.inputs = self.model.input_fields

    def __call__(self, item: Mapping[str, Any]) -> Prediction:
        """The network's depth, and the error that it expects where it expects one."""
        sample = self.run(item)
        deviation = sample.get(DEPTH_CONFIDENCE.prediction_key)
        return Prediction(_plane(sample.get(DEPTH.prediction_key)), None if deviation is None else _plane(deviation))

    def run(self, item: Mapping[str, Any]) -> DepthSample:
        """The sample with everything that the model predicts."""
        inputs = {row.name: [item["inputs"][row.name]] for row in self.inputs}
        sample = DepthSample(metainfo=dict(item["data_samples"].metainfo))
        with torch.inference_mode():
            predicted: list[DepthSample] = self.model.test_step({"inputs": inputs, "data_samples": [sample]})
        return predicted[0]


class FolderPredictor(Predictor):
    """Depth PNGs that something else wrote: named by the frame's id, or by KITTI's drive, frame and camera.

    A map of the frame's stored size is cropped as the data set's config crops its frames.

    Args:
        entry: With a folder.
        transforms: Configs of the data set's transforms; of these only ``BottomCrop`` is done to the PNGs.
    """

    computes = False

    def __init__(self, entry: Entry, transforms: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(entry)
        if entry.folder is None:
            raise ValueError(f"{entry.name} has no folder")
        self.folder = entry.folder
        self._crops: list[Transform] = [
            build(TRANSFORMS, one, "transforms") for one in transforms if one["type"] == "BottomCrop"
        ]
        self._by_frame: dict[str | None, list[tuple[Identity, Path]]] = defaultdict(list)
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in depth_pngs(self.folder):
            self._by_name[path.relative_to(self.folder).with_suffix("").as_posix()].append(path)
            # Resolved, so that the folders above a relative argument count too.
            identity = kitti_identity(path.resolve())
            self._by_frame[identity.frame].append((identity, path))

    def check(self, frames: Sequence[str]) -> None:
        """Look for each frame's file: one for each, and each for one."""
        taken: dict[Path, str] = {}
        for name in frames:
            path = self._find(name)
            if taken.setdefault(path, name) != name:
                raise DataError(
                    f"{path} fits two frames, {taken[path]} and {name}; expected a name that tells drive, frame and camera "
                    "apart."
                )

    def __call__(self, item: Mapping[str, Any]) -> Prediction:
        """The frame's depth map; 0 where it leaves a pixel empty."""
        sample, size = item["data_samples"], tuple(item["inputs"][SPARSE_DEPTH.name].shape[-2:])
        path = self._find(sample.sample_id)
        depth = read_depth_png(path)
        if depth.shape != size:
            depth = self._cropped(depth, path)
        if depth.shape != size:
            found, wanted = ("x".join(map(str, reversed(shape))) for shape in (read_depth_png(path).shape, size))
            raise DataError(f"{path} is {found} (width x height), and frame {sample.sample_id} is evaluated at {wanted}.")
        return Prediction(depth)

    def _find(self, name: str) -> Path:
        found = self._by_name.get(name, [])
        if not found:
            wanted = kitti_identity(Path(name))
            found = fitting(wanted, self._by_frame.get(wanted.frame, [])) if wanted.frame is not None else []
        if len(found) > 1:
            raise DataError(f"{self.folder}: {len(found)} files fit frame {name}, {found[0]} and {found[1]}; expected one.")
        if not found:
            first = next(iter(self._by_name))
            raise DataError(
                f"{self.folder}: no file fits frame {name}; its {len(self._by_name)} PNGs are named like {first}.png."
            )
        return found[0]

    def _cropped(self, depth: np.ndarray, path: Path) -> np.ndarray:
        frame = Frame({DEPTH.name: depth}, {DEPTH.name: DEPTH}, None, {"sample_id": path.name})
        for crop in self._crops:
            frame = crop(frame, np.random.default_rng(0))
        return frame.maps[DEPTH.name]


def make_predictor(
    entry: Entry, transforms: Sequence[Mapping[str, Any]] = (), device: str | torch.device | None = None, strip: bool = True
) -> Predictor:
    """What answers for an entry; ``transforms`` are those of the frames' config."""
    if entry.folder is not None:
        return FolderPredictor(entry, transforms)
    return ModelPredictor(entry, device, strip)


def _plane(tensor: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy()[0])
