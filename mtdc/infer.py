"""Complete one's own sparse depth in Python: ``load('classical/nearest_kitti')(sparse_depth)``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .data.io import FARTHEST_DEPTH_M
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
        sparse = _check_sparse_depth(_as_array(sparse_depth, "sparse depth"))
        inputs = {"sparse_depth": torch.from_numpy(sparse)[None, None]}
        given = {"image": image, "intrinsics": intrinsics}
        checks: dict[str, Callable[[np.ndarray, tuple[int, ...]], Tensor]]
        checks = {"image": _check_image, "intrinsics": _check_intrinsics}
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
    from .engine.checkpoint import load_weights
    from .engine.config import load_config

    model = build_model(load_config(config).model)
    trained = sum(1 for _ in model.parameters()) > 0
    if trained and checkpoint is None:
        raise ConfigError(
            f"config '{config}' is a network and needs trained weights: give its checkpoint (--checkpoint FILE, "
            "or checkpoint=FILE in Python), or take a method without weights such as 'classical/nearest_kitti'."
        )
    if checkpoint is not None:
        if not trained:
            raise ConfigError(f"config '{config}' has no weights to load: leave the checkpoint ({checkpoint}) out.")
        load_weights(model, checkpoint)
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


def _check_sparse_depth(depth: np.ndarray) -> np.ndarray:
    if depth.ndim != 2:
        single = 1 in depth.shape and depth.ndim > 2
        hint = " Take one frame, without batch and channel axes." if single else ""
        raise DataError(f"sparse depth must be (H, W), one frame, not of shape {depth.shape}.{hint}")
    if not depth.size:
        raise DataError(f"sparse depth of shape {depth.shape} has no pixel.")
    if not np.issubdtype(depth.dtype, np.floating):
        raise DataError(
            f"sparse depth must be floats in metres, not {depth.dtype}; divide the values of a KITTI depth PNG by 256, "
            "millimetres by 1000."
        )
    unknown = int(np.count_nonzero(~np.isfinite(depth)))
    if unknown:
        raise DataError(
            f"sparse depth holds {unknown} values that are NaN or infinite; pixels without a measurement must be 0."
        )
    depth = np.ascontiguousarray(depth, dtype=np.float32)
    low, high = float(depth.min()), float(depth.max())
    if low < 0:
        raise DataError(f"sparse depth holds negative values ({low:g}); pixels without a measurement must be 0.")
    if high > FARTHEST_DEPTH_M:
        raise DataError(
            f"sparse depth reaches {high:g}, which is no distance in metres: divide millimetres by 1000, "
            "the values of a KITTI depth PNG by 256."
        )
    if high == 0:
        raise DataError(
            f"sparse depth has no measured point ({depth.shape[1]}x{depth.shape[0]} pixels, all 0): nothing to complete."
        )
    return depth


def _check_image(image: np.ndarray, size: tuple[int, ...]) -> Tensor:
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


def _check_intrinsics(intrinsics: np.ndarray, size: tuple[int, ...]) -> Tensor:
    if intrinsics.shape != (3, 3):
        raise DataError(f"intrinsics must be (3, 3), not of shape {intrinsics.shape}.")
    matrix = intrinsics.astype(np.float32)
    bad = not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0 or not np.allclose(matrix[2], (0, 0, 1))
    if bad or np.array_equal(matrix, np.eye(3)):
        raise DataError(
            f"intrinsics {matrix.tolist()} are no camera matrix; expected rows (fx 0 cx), (0 fy cy), (0 0 1) in pixels."
        )
    return torch.from_numpy(matrix)[None]
