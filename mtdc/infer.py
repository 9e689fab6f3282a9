"""Complete one's own sparse depth in Python: ``load('classical/nearest_kitti')(sparse_depth)``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .data.calibration import check_intrinsics
from .data.io import check_depth
from .errors import ConfigError, DataError
from .model import MultiTaskModel, build_model

_SHAPES = {"image": "(H, W, 3) RGB, 0..255", "intrinsics": "(3, 3) in pixels"}


class Completer:
    """A model made easy: sparse depth in, dense depth out, one frame at a time, any size.

    Args:
        model: A whole or stripped model that predicts depth. It is moved to the device and put into evaluation mode.
        device: Where it runs ("cpu", "cuda", "cuda:1").

    Raises:
        ConfigError: The model predicts no depth, or there is no such device.
    """

    def __init__(self, model: MultiTaskModel, device: str | torch.device = "cpu") -> None:
        if "depth" not in model.network.fields:
            raise ConfigError(f"the model predicts {', '.join(model.network.fields) or 'nothing'}; completion needs 'depth'.")
        self.device = _device(device)
        self.model = model.to(self.device).eval()

    @property
    def needs(self) -> tuple[str, ...]:
        """Inputs that the model reads: ``sparse_depth``, and maybe ``image`` and ``intrinsics``."""
        needs: tuple[str, ...] = self.model.network.needs
        return needs

    def __call__(
        self,
        sparse_depth: np.ndarray | Tensor,
        image: np.ndarray | Tensor | None = None,
        intrinsics: np.ndarray | Tensor | None = None,
    ) -> np.ndarray:
        """Dense depth of one frame.

        Args:
            sparse_depth: ``(H, W)`` floats, metres along the optical axis, 0 = not measured.
            image: ``(H, W, 3)`` RGB, 0..255; looked at only where the model ``needs`` it.
            intrinsics: ``(3, 3)`` K in pixels of this image; looked at only where the model ``needs`` it.

        Returns:
            ``(H, W)`` float32 metres.

        Raises:
            DataError: An input has another shape or type, holds values that can't be metres or no measured point, or is
                missing though the model needs it; or the model answers something that is no depth.
        """
        sparse = check_depth(_as_array(sparse_depth, "sparse depth"), "sparse depth")
        if not sparse.any():
            width_by_height = f"{sparse.shape[1]}x{sparse.shape[0]}"
            raise DataError(f"sparse depth has no measured point ({width_by_height} pixels, all 0): nothing to complete.")
        inputs = {"sparse_depth": torch.from_numpy(sparse)[None, None]}
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
            depth = self.model({key: value.to(self.device) for key, value in inputs.items()})["depth"]
        dense: np.ndarray = depth[0, 0].float().cpu().numpy()
        wrong = int(np.count_nonzero(~np.isfinite(dense) | (dense < 0)))
        if wrong:
            raise DataError(
                f"the model answers NaN, infinite or negative depth at {wrong} of {dense.size} pixels: its weights are damaged."
            )
        return dense


def load(config: str | Path, checkpoint: str | Path | None = None, device: str | torch.device | None = None) -> Completer:
    """A config and its weights, ready to complete depth; what only other tasks read is dropped.

    Args:
        config: A config file, or the name of a shipped one ("classical/nearest_kitti").
        checkpoint: The trained weights, whole or stripped; None for methods without weights.
        device: Where it runs; a GPU where there is one, if not given.

    Raises:
        ConfigError: Unknown or faulty config, weights missing or given to a method without any, no such device.
        DataError: The checkpoint is missing, broken or belongs to another config.
    """
    # Imported here: a Completer around a model of one's own needs no engine.
    from .engine.config import load_config
    from .engine.runs import load_trained

    model = build_model(load_config(config).model)
    load_trained(model, None if checkpoint is None else Path(checkpoint))
    completer = Completer(model, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    completer.model.strip(keep=("depth",))
    return completer


def _device(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"device '{device}' can't be used here: {str(error).splitlines()[0]}") from error
    return found


def _as_array(value: np.ndarray | Tensor, name: str) -> np.ndarray:
    if isinstance(value, Tensor):
        value = value.detach().cpu().float().numpy() if value.dtype == torch.bfloat16 else value.detach().cpu().numpy()
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
