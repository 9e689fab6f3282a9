"""Complete one's own sparse depth in Python: ``mtdc.load('unet_street')(sparse_depth)``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .data.calibration import check_intrinsics
from .data.io import check_depth
from .errors import ConfigError, DataError, did_you_mean
from .model import MultiTaskModel, build_model, find_device
from .structures import DEPTH_CONFIDENCE
from .visualization.cloud import evidence_mask

_SHAPES = {"image": "(H, W, 3) RGB, 0..255", "intrinsics": "(3, 3) in pixels"}


@dataclass(frozen=True, eq=False)
class Completed:
    """One completed frame.

    Args:
        depth: ``(H, W)`` float32 metres, every pixel answered.
        valid: Bool ``(H, W)``: pixels that the scan says something about; elsewhere (sky, below the lowest beam, far from
            any measured point) depth is a guess. With a limit to the deviation, pixels above it are not valid either.
        deviation: ``(H, W)`` float32 metres, the error that the model expects of its depth (standard deviation); None where
            the model doesn't predict it.
    """

    depth: np.ndarray
    valid: np.ndarray
    deviation: np.ndarray | None = None


class Completer:
    """A model made easy: sparse depth in, dense depth out, one frame at a time, any size.

    Args:
        model: A whole or stripped model that predicts depth. It is moved to the device and put into evaluation mode.
        device: Where it runs ("cpu", "cuda", "cuda:1"); None: a GPU where there is one.
        origin: What the model was made from, for notes beside its results; :meth:`load` knows it.

    Raises:
        ConfigError: The model predicts no depth, or there is no such device.
    """

    def __init__(
        self, model: MultiTaskModel, device: str | torch.device | None = "cpu", origin: Mapping[str, str | None] | None = None
    ) -> None:
        if "depth" not in model.network.fields:
            raise ConfigError(f"the model predicts {', '.join(model.network.fields) or 'nothing'}; completion needs 'depth'.")
        self.device = find_device(device)
        self.model = model.to(self.device).eval()
        self.origin = dict(origin or {})

    @classmethod
    def load(
        cls,
        config: str | Path,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        zoo: str | Path | None = None,
    ) -> Completer:
        """A trained model, ready to complete depth; what only other tasks read is dropped.

        Args:
            config: Without a checkpoint the name of a model of the zoo ("unet_street") or its weights file
                (``.safetensors``), which need nothing else; otherwise, and where the zoo has no such name, a config file or
                the name of a shipped one ("classical/nearest_kitti").
            checkpoint: The trained weights of a config, whole or stripped; None for methods without weights.
            device: Where it runs; a GPU where there is one, if not given.
            zoo: Folder of a zoo of one's own, looked into alone; else that of MTDC_ZOO and the package's are.

        Raises:
            ConfigError: Unknown or faulty name or config, weights missing or given to a method without any, no such device.
            DataError: The checkpoint is missing, broken or belongs to another config.
        """
        # Imported here: a Completer around a model of one's own needs no engine.
        from .engine.checkpoint import file_hash
        from .engine.config import find_config, load_config, shipped_configs
        from .engine.runs import load_trained
        from .zoo.index import entries, find_weights

        weights = find_weights(config, zoo) if checkpoint is None else None
        if weights is not None:
            return cls._of_weights(str(config), weights, device)
        try:
            find_config(config)
        except ConfigError as error:
            near = did_you_mean(str(config), [*(entry.name for entry in entries()), *shipped_configs()])
            if not near.startswith(" Did"):  # a hundred names help nobody
                near = (
                    " `mtdc zoo` prints the zoo's models, and MTDC_ZOO=DIR adds those of a zoo of your own; the README "
                    "lists configs."
                )
            raise ConfigError(f"{config}: no model of the zoo, no such config file, nor a shipped config.{near}") from error
        cfg = load_config(config)
        model = build_model(cfg.model)
        load_trained(model, None if checkpoint is None else Path(checkpoint))
        origin = {
            "config": str(config),
            "model": hashlib.sha256(json.dumps(cfg.model, sort_keys=True, default=str).encode()).hexdigest(),
            "checkpoint": None if checkpoint is None else file_hash(checkpoint),
        }
        completer = cls(model, device, origin)
        completer.model.strip(keep=("depth",))
        return completer

    @classmethod
    def _of_weights(cls, name: str, weights: Path, device: str | torch.device | None) -> Completer:
        """The model of a weights file, which describes itself."""
        from .engine.checkpoint import file_hash
        from .zoo.weights import load_model

        device = find_device(device)
        model, description = load_model(weights, device)
        digest = hashlib.sha256(json.dumps(description.model, sort_keys=True).encode()).hexdigest()
        completer = cls(model, device, {"config": name, "model": digest, "checkpoint": file_hash(weights)})
        completer.model.strip(keep=("depth",))
        return completer

    @property
    def needs(self) -> tuple[str, ...]:
        """Inputs that the model reads: ``sparse_depth``, and maybe ``image`` and ``intrinsics``."""
        needs: tuple[str, ...] = self.model.network.needs
        return needs

    @property
    def predicts_deviation(self) -> bool:
        """Whether the model says which error it expects of its depth."""
        return DEPTH_CONFIDENCE in self.model.network.tasks["depth"].extra_fields

    def __call__(
        self,
        sparse_depth: np.ndarray | Tensor,
        image: np.ndarray | Tensor | None = None,
        intrinsics: np.ndarray | Tensor | None = None,
    ) -> np.ndarray:
        """Dense depth of one frame, ``(H, W)`` float32 metres: what :meth:`complete` gives without its options."""
        return self._predict(_checked(sparse_depth), image, intrinsics)[0]

    def complete(
        self,
        sparse_depth: np.ndarray | Tensor,
        image: np.ndarray | Tensor | None = None,
        intrinsics: np.ndarray | Tensor | None = None,
        *,
        keep_measured: bool = False,
        max_distance_px: float | None = None,
        max_deviation_m: float | None = None,
    ) -> Completed:
        """Dense depth of one frame, where the scan says something about it, and which error the model expects.

        Args:
            sparse_depth: ``(H, W)`` floats, metres along the optical axis, 0 = not measured.
            image: ``(H, W, 3)`` RGB, 0..255; looked at only where the model ``needs`` it.
            intrinsics: ``(3, 3)`` K in pixels of this image; looked at only where the model ``needs`` it.
            keep_measured: Measured pixels come back as they were given, those too that lie behind what the camera sees; the
                deviation stays that of the model's own answer.
            max_distance_px: Farther from every measured pixel, a pixel is not valid; four times the scan's typical distance
                where not given (:func:`~mtdc.visualization.cloud.evidence_mask`).
            max_deviation_m: A pixel of which the model expects a greater error (standard deviation, metres) is not valid.

        Raises:
            ConfigError: A limit is no number from 0 on, or the deviation is limited and the model doesn't predict it.
            DataError: An input has another shape or type, holds values that can't be metres or no measured point, or is
                missing though the model needs it; or the model answers something that is no depth.
        """
        check_distance(max_distance_px)
        self.check_deviation(max_deviation_m)
        sparse = _checked(sparse_depth)
        depth, deviation = self._predict(sparse, image, intrinsics)
        if keep_measured:
            depth = np.where(sparse > 0, sparse, depth)
        valid = evidence_mask(sparse, max_distance_px=max_distance_px)
        if deviation is not None and max_deviation_m is not None:
            valid &= deviation <= max_deviation_m
        return Completed(depth, valid, deviation)

    def check_deviation(self, max_deviation_m: float | None) -> None:
        """Refuse a largest expected error that is none, or that this model can't be held to.

        Raises:
            ConfigError: It is no number from 0 on, or the model doesn't predict its deviation.
        """
        if max_deviation_m is None:
            return
        if not _is_limit(max_deviation_m):
            raise ConfigError(f"the largest deviation is {max_deviation_m!r}; expected 0 or more metres.")
        if not self.predicts_deviation:
            raise ConfigError(
                f"the deviation can't be limited to {max_deviation_m:g} m: this model doesn't predict it (a DepthTask with "
                "uncertainty does; `mtdc zoo` lists the zoo's models)."
            )

    def _predict(
        self, sparse: np.ndarray, image: np.ndarray | Tensor | None, intrinsics: np.ndarray | Tensor | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Depth, and the deviation where the model predicts it: ``(H, W)`` float32 metres."""
        inputs = {"sparse_depth": torch.from_numpy(np.require(sparse, requirements=["C", "W"]))[None, None]}
        given = {"image": image, "intrinsics": intrinsics}
        checks: dict[str, Callable[[np.ndarray, tuple[int, ...]], Tensor]]
        checks = {"image": _image_tensor, "intrinsics": _intrinsics_tensor}
        for key in self.needs:
            if key == "sparse_depth":
                continue
            value = given.get(key)
            if value is None:
                raise DataError(f"this model needs {key} too: give {key}={_SHAPES.get(key, 'a map of the same size')}.")
            inputs[key] = checks[key](_as_array(value, key), sparse.shape)
        with torch.inference_mode():
            fields = self.model({key: value.to(self.device) for key, value in inputs.items()})
        depth = _answer(fields["depth"], "depth")
        if not self.predicts_deviation:
            return depth, None
        return depth, _answer(fields[DEPTH_CONFIDENCE.name], "deviation")


def load(name: str | Path, device: str | torch.device | None = None, zoo: str | Path | None = None) -> Completer:
    """A trained model of the zoo by its name, or of a weights file, ready to complete depth: ``mtdc.load("unet_street")``.

    Args:
        name: A model's name (`mtdc zoo` lists them), a weights file, or the config of a method without weights.
        device: Where it runs; a GPU where there is one, if not given.
        zoo: Folder of a zoo of one's own, looked into alone.

    Raises:
        ConfigError: No such name, or no such device.
        DataError: The weights are missing or damaged, or can't be fetched.
    """
    return Completer.load(name, device=device, zoo=zoo)


def check_distance(max_distance_px: float | None) -> None:
    """Refuse a largest distance to a measured pixel that is none.

    Raises:
        ConfigError: It is no number from 0 on.
    """
    if max_distance_px is not None and not _is_limit(max_distance_px):
        raise ConfigError(f"the largest distance to a measured pixel is {max_distance_px!r}; expected 0 or more pixels.")


def _is_limit(value: object) -> bool:
    """Whether a value is a number from 0 on, infinity too."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and bool(value >= 0)


def _answer(field: Tensor, name: str) -> np.ndarray:
    """A field ``(1, 1, H, W)`` of a network as ``(H, W)`` float32 metres; what is none is refused."""
    plane: np.ndarray = field[0, 0].float().cpu().numpy()
    wrong = int(np.count_nonzero(~np.isfinite(plane) | (plane < 0)))
    if wrong:
        raise DataError(
            f"the model answers NaN, infinite or negative {name} at {wrong} of {plane.size} pixels: its weights are damaged."
        )
    return plane


def _checked(sparse_depth: np.ndarray | Tensor) -> np.ndarray:
    sparse = check_depth(_as_array(sparse_depth, "sparse depth"), "sparse depth")
    if not sparse.any():
        width_by_height = f"{sparse.shape[1]}x{sparse.shape[0]}"
        raise DataError(f"sparse depth has no measured point ({width_by_height} pixels, all 0): nothing to complete.")
    return sparse


def _as_array(value: np.ndarray | Tensor, name: str) -> np.ndarray:
    if isinstance(value, Tensor):
        try:
            plain = value.detach().to_dense().cpu().resolve_neg()
            value = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
        except (TypeError, RuntimeError, NotImplementedError) as error:  # tensors that are no plain numbers in memory
            raise DataError(f"{name} can't be taken from this tensor: {str(error).splitlines()[0]}") from error
    if not isinstance(value, np.ndarray):
        raise DataError(f"{name} must be a numpy array or a tensor, not {type(value).__name__}.")
    return value


def _image_tensor(image: np.ndarray, size: tuple[int, ...]) -> Tensor:
    if image.shape != (*size, 3):
        hint = ""
        if image.shape == (3, *size):
            hint = " Put the channels last."
        elif image.shape[:2] != size and image.shape[-1:] == (3,):
            hint = " Image and depth must be of the same camera, crop and size."
        raise DataError(f"image must be {(*size, 3)} as the sparse depth is {size}, not of shape {image.shape}.{hint}")
    values = image.astype(np.float32)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise DataError(f"image holds values from {values.min():g} to {values.max():g}; expected RGB, 0..255.")
    if np.issubdtype(image.dtype, np.floating) and 0 < values.max() <= 1:
        raise DataError(f"image holds values up to {values.max():g}; expected RGB, 0..255: multiply by 255.")
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]


def _intrinsics_tensor(intrinsics: np.ndarray, size: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(check_intrinsics(intrinsics, "intrinsics").astype(np.float32))[None]
