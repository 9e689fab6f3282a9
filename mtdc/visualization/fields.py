"""Fields of other tasks than depth as pictures: normals, labels and maps of a number a pixel; unknown is black everywhere."""

from __future__ import annotations

import cv2
import numpy as np

from ..errors import DataError
from ..structures import CITYSCAPES_CLASSES, DEPTH_CONFIDENCE, Field
from .colormap import COLOR_INDICES, RANGE_PERCENTILES, check_map, colorize_depth, depth_range, known_depth
from .panel import Legend, Tile

#: Colours of Cityscapes' classes by train id, RGB, as its benchmark shows them (Cordts et al., CVPR 2016).
_CITYSCAPES_COLORS = (
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153), (250, 170, 30),
    (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70),
    (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
)  # fmt: skip
#: Ends of the colours of an expected error in metres: fixed, so that frames and models compare.
DEVIATION_RANGE_M = (0.01, 10.0)


def label_colors(classes: int | None) -> np.ndarray:
    """RGB by class index, ``(256, 3)`` uint8: Cityscapes' own for 19 classes, else bits of the index spread over channels.

    Rows from ``classes`` on (None: row 255 alone) are black, and no class is.
    """
    if classes == len(CITYSCAPES_CLASSES):
        colors = np.zeros((256, 3), np.uint8)
        colors[:classes] = _CITYSCAPES_COLORS
        return colors
    # Bits 0, 3, 6 of the index + 1 are red's from the highest down, 1, 4, 7 green's and 2, 5 blue's: no two are equal.
    numbers = np.arange(1, 257)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        colors[:, bit % 3] |= ((numbers >> bit & 1) << (7 - bit // 3)).astype(np.uint8)
    colors[255 if classes is None else classes :] = 0
    return colors


def colorize_labels(labels: np.ndarray, classes: int | None = None, unknown: float = 255) -> np.ndarray:
    """``(H, W)`` class indices -> ``(H, W, 3)`` uint8 RGB by :func:`label_colors`; unknown and what is no class are black.

    Raises:
        DataError: Labels of another shape.
    """
    if labels.ndim != 2:
        raise DataError(f"labels must be (H, W), not of shape {tuple(labels.shape)}.")
    known = (labels != unknown) & (labels >= 0) & (labels < 256)
    colors: np.ndarray = label_colors(classes)[np.where(known, labels, 0).astype(np.int64)]
    colors[~known] = 0
    return colors


def colorize_normals(normals: np.ndarray) -> np.ndarray:
    """``(H, W, 3)`` unit vectors -> ``(H, W, 3)`` uint8 RGB, ``(n + 1) / 2`` of 255; a vector of length 0, or NaN, is black.

    Raises:
        DataError: Normals of another shape.
    """
    if normals.ndim != 3 or normals.shape[2] != 3:
        raise DataError(f"normals must be (H, W, 3), not of shape {tuple(normals.shape)}.")
    known = np.isfinite(normals).all(axis=2) & (normals != 0).any(axis=2)
    shown = np.clip((np.where(known[..., None], normals, 0.0) + 1) / 2, 0, 1)
    colors: np.ndarray = np.where(known[..., None], np.rint(255 * shown), 0).astype(np.uint8)
    return colors


def colorize_map(values: np.ndarray, low: float, high: float, known: np.ndarray | None = None) -> np.ndarray:
    """``(H, W)`` numbers -> ``(H, W, 3)`` uint8 RGB: violet at ``low`` to yellow at ``high``, cut to them.

    Not finite, or not ``known`` (bool ``(H, W)``), is black.
    """
    known = np.isfinite(values) if known is None else np.isfinite(values) & known
    part = np.clip((np.where(known, values, low) - low) / max(high - low, 1e-12), 0, 1)
    indices = np.rint(COLOR_INDICES[0] + (COLOR_INDICES[1] - COLOR_INDICES[0]) * part).astype(np.uint8)
    colors: np.ndarray = cv2.cvtColor(cv2.applyColorMap(indices, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    colors[~known] = 0
    return colors


def colorize_deviation(deviation: np.ndarray) -> np.ndarray:
    """Expected error, ``(H, W)`` metres -> ``(H, W, 3)`` uint8 RGB: violet at 1 cm and below, yellow at 10 m and above.

    The scale is logarithmic. 0 (none), and what is not finite, is black.

    Raises:
        DataError: Not an ``(H, W)`` map.
    """
    deviation = check_map(deviation, "deviation")
    known = known_depth(deviation)
    low, high = DEVIATION_RANGE_M
    logarithm = np.log(np.where(known, deviation, low))
    return colorize_map(logarithm, np.log(low), np.log(high), known)


def deviation_tile(deviation: np.ndarray) -> Tile:
    """:func:`colorize_deviation` with its legend."""
    low, high = DEVIATION_RANGE_M
    scale = colorize_deviation(np.geomspace(low, high, 64)[None])[0]
    return Tile("expected error", colorize_deviation(deviation), Legend(f"{low:g}", scale, f"{high:g} m"))


def field_tiles(row: Field, prediction: np.ndarray, ground_truth: np.ndarray | None = None) -> list[Tile]:
    """Ground truth, where given, and prediction of one field, coloured by its kind; a map's two share one range.

    Args:
        row: The field's row of the field table.
        prediction: ``(C, H, W)``, labels ``(H, W)``, in the field's unit.
        ground_truth: The same; what is unknown in it is black.

    Raises:
        DataError: A shape that the kind can't have.
    """
    if row.name == DEPTH_CONFIDENCE.name:
        return [deviation_tile(_plane(prediction))]
    name = row.name.replace("_", " ")
    truth_known = None if ground_truth is None else _known(row, ground_truth)
    truth_title = f"true {name}" if truth_known is not None and truth_known.any() else f"{name}, no ground truth"
    titled = [(f"predicted {name}", prediction)]
    if ground_truth is not None:
        titled.insert(0, (truth_title, ground_truth))
    if row.kind == "labels":
        return [Tile(title, colorize_labels(_plane(values), row.classes, row.unknown)) for title, values in titled]
    if row.kind == "normals":
        return [Tile(title, colorize_normals(values.transpose(1, 2, 0))) for title, values in titled]
    if row.kind == "image":
        return [Tile(title, values.transpose(1, 2, 0)) for title, values in titled]
    return _number_tiles(row, titled, truth_known)


def _number_tiles(row: Field, titled: list[tuple[str, np.ndarray]], truth_known: np.ndarray | None) -> list[Tile]:
    """Of several channels their length is shown."""
    planes = [
        _plane(values) if len(values) == 1 or values.ndim == 2 else np.linalg.norm(values, axis=0) for _, values in titled
    ]
    known = [np.isfinite(plane) for plane in planes]
    if truth_known is not None:
        known[0] &= truth_known
    # The truth gives the range, as that of depth: a prediction may be anything where nothing is known.
    of = 0 if known[0].any() else -1
    if row.kind == "depth":
        low, high = depth_range(planes[of], valid=known[of])
        pictures = [colorize_depth(p, low, high, k) for p, k in zip(planes, known, strict=True)]
        scale = colorize_depth(np.geomspace(low, high, 64)[None], low, high)[0]
    else:
        low, high = np.percentile(planes[of][known[of]], RANGE_PERCENTILES).tolist() if known[of].any() else (0.0, 1.0)
        pictures = [colorize_map(p, low, high, k) for p, k in zip(planes, known, strict=True)]
        scale = colorize_map(np.linspace(low, high, 64)[None], low, high)[0]
    legend = Legend(f"{low:.3g}", scale, f"{high:.3g}")
    return [Tile(title, picture, legend) for (title, _), picture in zip(titled, pictures, strict=True)]


def _plane(values: np.ndarray) -> np.ndarray:
    return values[0] if values.ndim == 3 and len(values) == 1 else values


def _known(row: Field, values: np.ndarray) -> np.ndarray:
    """Bool ``(H, W)``."""
    known: np.ndarray = (values != row.unknown) & np.isfinite(values)
    return known if known.ndim == 2 else np.asarray(known.any(axis=0))
