"""KITTI's depth errors as its own evaluation program computes them (Uhrig et al., 3DV 2017), in float64 numpy.

With e = truth - prediction in metres and d = ln truth - ln prediction, over the pixels of one frame that have ground truth:

    mae = mean |e|                  rmse = sqrt(mean e^2)
    imae = mean |1/truth - 1/pred|  irmse = sqrt(mean (1/truth - 1/pred)^2)
    log_mae = mean |d|              log_rmse = sqrt(mean d^2)       silog = sqrt(mean d^2 - (mean d)^2)
    abs_rel = mean (|e| / truth)    sq_rel = mean (e^2 / truth^2)

The value of a data set is the plain mean of its frames' values. The program sums in float32, so its printed values agree with
these to about 1e-4 relative on whole frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

#: What the program stores for a pixel that nobody answered.
UNANSWERED = -1.0
#: Unit of each error, in the order in which they are reported, after :func:`to_benchmark_units`.
BENCHMARK_UNITS = {
    "rmse": "mm",
    "mae": "mm",
    "irmse": "1/km",
    "imae": "1/km",
    "log_mae": "ln",
    "log_rmse": "ln",
    "silog": "ln",
    "abs_rel": "ratio",
    "sq_rel": "ratio",
}
#: Metres to millimetres, and 1/m to 1/km.
_TO_BENCHMARK = {"mm": 1000.0, "1/km": 1000.0}


def interpolate_background(depth: np.ndarray) -> np.ndarray:
    """Fill a prediction's holes as the benchmark does before it measures: first along rows, then up and down.

    A hole between two answered pixels of a row gets the smaller of both (the nearer surface, in spite of the name); towards the
    left and right border the row's first and last value go on; the topmost and lowest answered rows are repeated towards the
    top and bottom. An empty row between answered rows stays unanswered, and so does an empty map.

    Shapes: ``(H, W) -> (H, W)`` float64, in the unit of the input. Holes are values <= 0 and come back as -1 where they stay.
    A NaN is no hole: it stays and spreads, so that a broken prediction is seen.
    """
    depth = np.array(depth, dtype=np.float64)
    height, width = depth.shape
    answered = ~(depth <= 0)
    if answered.all():
        return depth
    columns = np.broadcast_to(np.arange(width), depth.shape)
    left = np.maximum.accumulate(np.where(answered, columns, -1), axis=1)
    right = np.minimum.accumulate(np.where(answered, columns, width)[:, ::-1], axis=1)[:, ::-1]

    # A border behind which nothing was answered is infinitely far, so the other side is the minimum.
    padded = np.concatenate((np.full((height, 1), np.inf), depth, np.full((height, 1), np.inf)), axis=1)
    nearer = np.minimum(np.take_along_axis(padded, left + 1, axis=1), np.take_along_axis(padded, right + 1, axis=1))
    filled = np.where(answered, depth, np.where(np.isposinf(nearer), UNANSWERED, nearer))

    # From here a row is answered as a whole or not at all.
    rows = np.flatnonzero(answered.any(axis=1))
    if rows.size:
        filled[: rows[0]] = filled[rows[0]]
        filled[rows[-1] + 1 :] = filled[rows[-1]]
    return filled


def kitti_errors(prediction: np.ndarray, ground_truth: np.ndarray) -> dict[str, float]:
    """The nine errors of one frame over the pixels with ground truth > 0, in metres, 1/m, natural logarithms and ratios.

    Holes are not filled here. A prediction <= 0 counts as the benchmark's "unanswered", -1: large errors, and logarithms that
    are NaN.

    Shapes: ``(H, W)`` metres twice.

    Raises:
        ValueError: The shapes differ, or no pixel has ground truth.
    """
    if prediction.shape != ground_truth.shape:
        raise ValueError(f"the prediction is {prediction.shape} and its ground truth {ground_truth.shape}; they must be equal")
    valid = ground_truth > 0
    if not valid.any():
        raise ValueError("no pixel has ground truth")
    truth = ground_truth[valid].astype(np.float64)
    pred = prediction[valid].astype(np.float64)
    pred[pred <= 0] = UNANSWERED

    error = truth - pred
    inverse_error = 1 / truth - 1 / pred
    with np.errstate(invalid="ignore"):
        log_error = np.log(truth) - np.log(pred)
    values = {
        "rmse": np.sqrt(np.mean(error**2)),
        "mae": np.mean(np.abs(error)),
        "irmse": np.sqrt(np.mean(inverse_error**2)),
        "imae": np.mean(np.abs(inverse_error)),
        "log_mae": np.mean(np.abs(log_error)),
        "log_rmse": np.sqrt(np.mean(log_error**2)),
        # The deviation from the mean is the same quantity, and rounding can't make it the root of a negative number.
        "silog": np.sqrt(np.mean((log_error - np.mean(log_error)) ** 2)),
        "abs_rel": np.mean(np.abs(error) / truth),
        "sq_rel": np.mean((error / truth) ** 2),
    }
    return {name: float(value) for name, value in values.items()}


def mean_of_frames(frames: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The plain mean of each value over frames: a frame with many valid pixels counts as much as one with few.

    Raises:
        ValueError: There is no frame.
    """
    if not frames:
        raise ValueError("no frame to average over")
    return {name: float(np.mean([frame[name] for frame in frames])) for name in frames[0]}


def to_benchmark_units(errors: Mapping[str, float]) -> dict[str, float]:
    """Errors in metres and 1/m as the benchmark's table shows them: mm and 1/km; logarithms and ratios stay as they are."""
    return {name: value * _TO_BENCHMARK.get(BENCHMARK_UNITS[name], 1.0) for name, value in errors.items()}
