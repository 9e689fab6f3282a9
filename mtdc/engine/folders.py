"""Measure a folder of depth PNGs against a folder of ground truth, as KITTI's own program does, but paired by name."""

from __future__ import annotations

import logging
import math
import sys
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..data.io import read_depth_png
from ..errors import DataError
from ..metrics.kitti import KittiDepthMetric
from .pairing import Pair, pair_folders
from .result import result_dict

_LOGGER = logging.getLogger(__name__)
#: A progress bar in a log file is only worth its lines when there is something to wait for.
_PROGRESS_DELAY_S = 2.0


def compare_folders(ground_truth: Path, prediction: Path) -> dict[str, Any]:
    """The benchmark's errors of a folder of predictions: no limits, no crop, holes filled.

    Returns:
        A result as :func:`mtdc.engine.result.result_dict` makes it; frames are named by the ground truth's relative paths.

    Raises:
        DataError: The folders can't be paired, a file can't be read, two files of a pair differ in size, or a ground-truth
            file has no valid pixel.
    """
    pairs = pair_folders(ground_truth, prediction)
    metric = KittiDepthMetric(clamp_m=None, fill_holes=True)
    delay = 0.0 if sys.stderr.isatty() else _PROGRESS_DELAY_S
    for pair in tqdm(pairs, unit="frame", delay=delay, leave=False):
        metric.process(None, [_read(pair)])
    values = metric.evaluate(len(pairs))
    undefined = [key for key, errors in metric.per_frame.items() if math.isnan(errors["log_mae"])]
    if undefined:
        _LOGGER.warning(
            "%d of %d predictions leave whole rows empty between answered ones (first: %s): they count as -1 m there, and "
            "their logarithms are undefined, as in the benchmark's program", len(undefined), len(pairs), undefined[0],
        )  # fmt: skip
    folders = {"ground_truth": str(ground_truth), "prediction": str(prediction)}
    return result_dict(values, {**metric.protocol(), "crop": "none", **folders}, metric.per_frame)


def _read(pair: Pair) -> dict[str, Any]:
    prediction, truth = read_depth_png(pair.prediction), read_depth_png(pair.ground_truth)
    if prediction.shape != truth.shape:
        sizes = ["x".join(map(str, array.shape)) for array in (prediction, truth)]
        raise DataError(
            f"{pair.prediction} is {sizes[0]} (height x width), its ground truth {pair.ground_truth} {sizes[1]}; "
            "expected the same size. One of them was probably cropped."
        )
    if not truth.any():
        raise DataError(
            f"ground truth {pair.ground_truth} has no valid pixel (all 0), so nothing can be measured there; copy it again, or "
            "leave it out with its prediction."
        )
    return {"sample_id": pair.key, "pred_depth": torch.from_numpy(prediction), "gt_depth": torch.from_numpy(truth)}
