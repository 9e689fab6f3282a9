"""Titled pictures of one frame on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..errors import DataError
from .colormap import colorize_depth, colorize_error, depth_range, enlarge_points

TITLE_HEIGHT = 24
_MARGIN = 6
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5


def as_rgb(image: np.ndarray, name: str = "image") -> np.ndarray:
    """A gray ``(H, W)`` or ``(H, W, 1)`` or RGB ``(H, W, 3)`` picture, 0..255 of any type, as ``(H, W, 3)`` uint8.

    Raises:
        DataError: Another shape.
    """
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise DataError(f"{name} must be (H, W) or (H, W, 3), 0..255, not of shape {tuple(image.shape)}.")
    if image.dtype != np.uint8:
        image = np.rint(np.clip(np.nan_to_num(image), 0, 255)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def panel(rows: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Pictures below one another, each under its title; narrower ones are padded with black on their right.

    Args:
        rows: Title (ASCII) and picture: ``(H, W)`` gray or ``(H, W, 3)`` RGB, 0..255.

    Returns:
        ``(H, W, 3)`` uint8 RGB, wide enough for every title.

    Raises:
        DataError: No row, or a picture of another shape.
    """
    if not rows:
        raise DataError("a panel needs at least one picture.")
    pictures = [as_rgb(image, title) for title, image in rows]
    widths = [cv2.getTextSize(title, _FONT, _FONT_SCALE, 1)[0][0] + 2 * _MARGIN for title, _ in rows]
    width = max(*widths, *(picture.shape[1] for picture in pictures))
    sheet = []
    for (title, _), picture in zip(rows, pictures, strict=True):
        bar = np.zeros((TITLE_HEIGHT, width, 3), np.uint8)
        cv2.putText(bar, title, (_MARGIN, TITLE_HEIGHT - 8), _FONT, _FONT_SCALE, (255, 255, 255), 1, cv2.LINE_AA)
        padding = ((0, 0), (0, width - picture.shape[1]), (0, 0))
        sheet += [bar, np.pad(picture, padding)]
    return np.concatenate(sheet)


def sample_panel(
    sparse_depth: np.ndarray,
    prediction: np.ndarray,
    ground_truth: np.ndarray | None = None,
    image: np.ndarray | None = None,
    reconstruction: np.ndarray | None = None,
    near_m: float | None = None,
    far_m: float | None = None,
) -> np.ndarray:
    """One frame on one sheet: image, sparse depth, prediction, ground truth, error, reconstruction; depths share one range.

    Args:
        sparse_depth: ``(H, W)`` metres, 0 = not measured; its points are enlarged.
        prediction: ``(H, W)`` metres.
        ground_truth: ``(H, W)`` metres, 0 = unknown. Without it there is no error picture.
        image: ``(H, W)`` or ``(H, W, 3)``, 0..255.
        reconstruction: The predicted image, as ``image``.
        near_m: Warm end of the depth range, and
        far_m: its cool end; from the measured depths of this frame where not given.

    Returns:
        ``(H', W', 3)`` uint8 RGB.

    Raises:
        DataError: Maps of other shapes or of different sizes.
    """
    size = tuple(sparse_depth.shape)
    maps = {"prediction": prediction, "ground truth": ground_truth, "image": image, "reconstruction": reconstruction}
    for name, value in maps.items():
        if value is not None and tuple(value.shape[:2]) != size:
            raise DataError(f"the {name} is {tuple(value.shape[:2])} and the sparse depth {size}: sizes must be equal.")
    # Measured depths give the range: a prediction may be anything in the sky.
    measured = sparse_depth if ground_truth is None else np.stack((sparse_depth, ground_truth))
    near_m, far_m = depth_range(measured if (measured > 0).any() else prediction, near_m, far_m)
    rows = [] if image is None else [("image", image)]
    rows += [
        (
            f"sparse depth, {near_m:.1f} m (warm) to {far_m:.1f} m (cool)",
            colorize_depth(enlarge_points(sparse_depth), near_m, far_m),
        ),
        ("predicted depth", colorize_depth(prediction, near_m, far_m)),
    ]
    if ground_truth is not None:
        known = ground_truth > 0
        error_m = np.abs(prediction - ground_truth)[known]
        title = f"error, MAE {error_m.mean():.3f} m, blue < 0.06 m .. red > 16 m" if known.any() else "error, no ground truth"
        rows += [
            ("ground truth", colorize_depth(enlarge_points(ground_truth), near_m, far_m)),
            (title, colorize_error(prediction, ground_truth)),
        ]
    if reconstruction is not None:
        rows.append(("reconstructed image", reconstruction))
    return panel(rows)
