"""Depth errors by region: distance bands, semantic classes, depth edges and the rest (Lu et al., CVPR 2020, Fig. 8b and c).

    rmse(R) = sqrt( sum e^2 / N ),  mae(R) = sum |e| / N          sums over the pixels of region R in all frames, N: how many

Shapes      pred_depth, gt_dense_depth or gt_depth (1, H, W) metres, gt_semantics (H, W), cut back to the frame -> mm.
Test time   no weights; each frame becomes three sums a region.
Differs     from the benchmark's mean over frames: a class that a frame hardly shows must not weigh as much as another.
Cost        a few passes over the frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError
from ..registry import METRICS
from ..structures import CITYSCAPES_CLASSES, DENSE_DEPTH, DEPTH, SEMANTICS
from . import DepthMetric
from .regions import BANDS_M, class_regions, depth_edges, distance_bands, error_sums

#: Squared error, absolute error and pixels of a region.
Sums = dict[str, tuple[float, float, int]]


@METRICS.register_module()
class DepthByRegion(DepthMetric):
    """RMSE and MAE in mm of all pixels, of each distance band, of each class, at depth edges and away from them.

    Args:
        truth: "dense" for a data set with depth at every pixel (the street world's ``dense`` folder), else "depth": its
            ground truth. Edges are looked for in dense truth alone.
        classes: Also by semantic class, for data sets with labels.
        covered: With dense truth: count only the rows that the frame's ground truth covers, from its first row with a value
            on. Above them a LiDAR measures nothing, and errors are those of a guess at walls and trees out of its reach.
        max_depth_m: Pixels farther than this are not counted; None: no limit.
        bands_m: Bounds of the distance bands in metres; the last has no end.
        clamp_m: Predictions are limited to this range first; None: not at all.
        prefix: Put before the names with a slash.

    Raises:
        ConfigError: Another truth, or bounds that don't rise.
        DataError: A prediction and its ground truth differ in size.
    """

    measures = (DEPTH,)

    def __init__(
        self,
        truth: str = "dense",
        classes: bool = True,
        covered: bool = True,
        max_depth_m: float | None = 80.0,
        bands_m: Sequence[float] = BANDS_M,
        clamp_m: tuple[float, float] | None = (0.9, 100.0),
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        if truth not in ("dense", "depth"):
            raise ConfigError(f"DepthByRegion: truth='{truth}'; expected 'dense' or 'depth'.")
        if list(bands_m) != sorted(set(bands_m)) or not len(bands_m):
            raise ConfigError(f"DepthByRegion: bands_m={tuple(bands_m)} must rise.")
        self.truth = DENSE_DEPTH if truth == "dense" else DEPTH
        self.covered = covered and truth == "dense"
        self.targets = (self.truth, *(DEPTH,) * self.covered, *(SEMANTICS,) * classes)
        self.classes = classes
        self.max_depth_m = np.inf if max_depth_m is None else float(max_depth_m)
        self.bands_m = tuple(float(bound) for bound in bands_m)
        self.clamp_m = None if clamp_m is None else (float(clamp_m[0]), float(clamp_m[1]))

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Measure each sample of a batch; ``data_samples`` are dicts with the prediction, the truth and sample_id."""
        for sample in data_samples:
            self.require(sample, (DEPTH.prediction_key, *(row.target_key for row in self.targets), "sample_id"))
            prediction, truth = (
                sample[key].detach().cpu().double().numpy()[0] for key in (DEPTH.prediction_key, self.truth.target_key)
            )
            if prediction.shape != truth.shape:
                raise DataError(f"{sample['sample_id']}: the depth is {prediction.shape}, its ground truth {truth.shape}.")
            known = (truth > 0) & (truth <= self.max_depth_m)
            if self.covered:
                rows = (sample[DEPTH.target_key][0] > 0).any(dim=1).cpu().numpy()
                known &= np.logical_or.accumulate(rows)[:, None]
            labels = sample[SEMANTICS.target_key].cpu().numpy() if self.classes else None
            self.results.append((str(sample["sample_id"]), self._sums(prediction, truth, known, labels)))

    def _sums(self, prediction: np.ndarray, truth: np.ndarray, known: np.ndarray, labels: np.ndarray | None) -> Sums:
        if self.clamp_m is not None:
            prediction = np.clip(prediction, *self.clamp_m)
        regions = {"all": known, **distance_bands(truth, self.bands_m)}
        if self.truth is DENSE_DEPTH:
            edges = depth_edges(truth)
            regions |= {"edges": edges, "off_edges": ~edges}
        if labels is not None:
            names = (getattr(self, "dataset_meta", None) or {}).get("classes", CITYSCAPES_CLASSES)
            regions |= class_regions(labels, names)
        error = np.where(known, prediction - truth, 0.0)
        return {name: error_sums(error, region & known) for name, region in regions.items()}

    def compute_metrics(self, results: list[tuple[str, Sums]]) -> dict[str, float]:
        """``rmse`` and ``mae`` of all, ``<region>/rmse`` and ``<region>/mae`` of each region that has pixels, in mm."""
        self.per_frame = {name: _values("all", sums["all"]) for name, sums in results if sums["all"][2]}
        total: dict[str, np.ndarray] = {}
        for _, sums in results:
            for name, three in sums.items():
                total[name] = total.get(name, np.zeros(3)) + np.asarray(three)
        values: dict[str, float] = {}
        for name, (squared, absolute, count) in total.items():
            if count:
                values |= _values(name, (squared, absolute, count))
        return {**values, "frames": len(self.per_frame), "frames_without_ground_truth": len(results) - len(self.per_frame)}

    def protocol(self) -> dict[str, Any]:
        """Units of each value and the rules of this measurement."""
        regions = ["all", *distance_bands(np.zeros(0), self.bands_m)]
        regions += ["edges", "off_edges"] * (self.truth is DENSE_DEPTH)
        regions += [name.replace(" ", "_") for name in CITYSCAPES_CLASSES] * self.classes
        return {
            "units": {_key(region, error): "mm" for region in regions for error in ("rmse", "mae")},
            "clamp_m": None if self.clamp_m is None else list(self.clamp_m),
            "threshold": "ground truth > 0" + ("" if np.isinf(self.max_depth_m) else f" and <= {self.max_depth_m:g} m"),
            "rows": "from the first with ground truth on" if self.covered else "all",
            "truth": self.truth.name,
            "averaging": "sums over the region's pixels in all frames",
        }


def _key(region: str, error: str) -> str:
    return error if region == "all" else f"{region}/{error}"


def _values(region: str, sums: tuple[float, float, int]) -> dict[str, float]:
    squared, absolute, count = sums
    return {
        _key(region, "rmse"): 1000 * math.sqrt(squared / count),
        _key(region, "mae"): 1000 * absolute / count,
    }
