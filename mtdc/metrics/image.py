"""Likeness of a reconstructed image: PSNR, and SSIM (Wang et al., IEEE TIP 2004, Eq. 13).

    PSNR = 20 log10( 255 / rmse ) dB
    SSIM = mean of ( (2 m_x m_y + c1) (2 s_xy + c2) ) / ( (m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2) )
           m, s: means and (co)variances in a Gaussian window, sigma 1.5, 11 x 11;  c1 = (0.01 * 255)^2, c2 = (0.03 * 255)^2

Shapes      pred_image and gt_image (C, H, W) in 0..255, cut back to the frame; truth -1 = unknown -> dB, ratio up to 1.
Test time   no weights; each frame becomes two numbers.
Differs     only windows whose every pixel is known count; a frame without one (smaller than 11 x 11) has no SSIM.
Cost        five Gaussian filters a channel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from ..registry import METRICS
from ..structures import GRAY_IMAGE, RGB_IMAGE
from . import DepthMetric
from .functional import mean_of_frames

RANGE = 255.0
RADIUS, SIGMA = 5, 1.5
C1, C2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2


@METRICS.register_module()
class ImageMetric(DepthMetric):
    """PSNR and SSIM of gray or RGB images, means over frames.

    Args:
        channels: 1 for gray, 3 for RGB, as the task's.
        prefix: Put before the names with a slash.

    Raises:
        ValueError: Another number of channels.
        DataError: A prediction and its ground truth differ in size.
    """

    default_prefix = "image"

    def __init__(self, channels: int = 1, prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 (gray) or 3 (RGB), not {channels}")
        self.row = GRAY_IMAGE if channels == 1 else RGB_IMAGE
        self.targets = (self.row,)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Measure each sample of a batch; ``data_samples`` are dicts with pred_image, gt_image and sample_id."""
        for sample in data_samples:
            prediction, truth = self.pair(sample, self.row)
            known = (truth != self.row.unknown).any(axis=0)
            values = None
            if known.any():
                squared = float(np.square(prediction - truth)[:, known].mean())
                values = {"psnr": 10 * math.log10(RANGE**2 / squared) if squared else math.inf}
                likeness = ssim(prediction, truth, known)
                if likeness is not None:
                    values["ssim"] = likeness
            self.results.append((str(sample["sample_id"]), values))

    def compute_metrics(self, results: list[tuple[str, dict[str, float] | None]]) -> dict[str, float]:
        """The mean of each value over the frames that have it, and the counts of frames with and without ground truth."""
        measured = [values for _, values in results if values is not None]
        self.per_frame = {name: values for name, values in results if values is not None}
        means: dict[str, float] = {}
        names: tuple[str, ...] = ("psnr", "ssim")
        for key in names:
            having = [{key: values[key]} for values in measured if key in values]
            means |= mean_of_frames(having) if having else {}
        return {**means, "frames": len(measured), "frames_without_ground_truth": len(results) - len(measured)}

    def protocol(self) -> dict[str, Any]:
        """Units of each value and the rules of this measurement."""
        return {
            "units": {"psnr": "dB", "ssim": "ratio"},
            "threshold": "ground truth known",
            "averaging": "mean over frames of the frame's value",
        }


def ssim(first: np.ndarray, second: np.ndarray, known: np.ndarray) -> float | None:
    """Mean SSIM over channels and over the windows that are known throughout; None where there is none.

    Shapes: ``(C, H, W)`` twice in 0..255, bool ``(H, W)``.
    """
    inside = ndimage.binary_erosion(known, np.ones((2 * RADIUS + 1, 2 * RADIUS + 1)), border_value=0)
    if not inside.any():
        return None
    values = []
    for x, y in zip(first, second, strict=True):
        mean_x, mean_y = _window_mean(x), _window_mean(y)
        variance_x = _window_mean(x * x) - mean_x**2
        variance_y = _window_mean(y * y) - mean_y**2
        covariance = _window_mean(x * y) - mean_x * mean_y
        likeness = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
        likeness /= (mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2)
        values.append(likeness[inside].mean())
    return float(np.mean(values))


def _window_mean(values: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.gaussian_filter(values, SIGMA, radius=RADIUS))
