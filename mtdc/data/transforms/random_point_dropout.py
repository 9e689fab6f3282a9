"""Random loss of sparse depth points (the study of input density of Lu et al., CVPR 2020, Fig. 8a).

    d'(u, v) = d(u, v) with probability 1 - ratio, else 0        (independently for each measured point)

Shapes      sparse depth (H, W) -> the same; all other maps pass untouched.
Test time   in the test data's transforms it measures robustness to density: the same points go for equal seed and frame.
Differs     the paper doesn't say whether a ratio or a number of points is drawn; here each point goes by itself.
Cost        one copy of the map and one random number a measured point.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ...contracts import Transform
from ...errors import ConfigError
from ...registry import TRANSFORMS
from ...structures import SPARSE_DEPTH, Frame


@TRANSFORMS.register_module()
class RandomPointDropout(Transform):
    """Forget measured points of the sparse depth; ground truth is left alone.

    Args:
        ratio: Probability that a point is dropped, 0..1; or (least, greatest), from which each frame's is drawn evenly.
        probability: Of a frame to lose points at all, 0..1.

    Raises:
        ValueError: A ratio or probability outside 0..1, or a range that is not ascending.
        ConfigError: (when called) Sparse depth is not among the inputs.
    """

    def __init__(self, ratio: float | Sequence[float], probability: float = 1.0) -> None:
        low, high = ratio if isinstance(ratio, Sequence) else (ratio, ratio)
        if not 0 <= low <= high <= 1:
            raise ValueError(f"ratio must lie in 0..1, or be (least, greatest) there, not {ratio}")
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must lie in 0..1, not {probability}")
        self.ratio = (low, high)
        self.probability = probability

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame with fewer points."""
        key = SPARSE_DEPTH.name
        if key not in frame.maps:
            raise ConfigError(f"RandomPointDropout needs the input '{key}', and only {', '.join(frame.maps)} are loaded.")
        if generator.random() >= self.probability:
            return frame
        ratio = generator.uniform(*self.ratio)
        sparse = frame.maps[key].copy()
        measured = np.flatnonzero(sparse != SPARSE_DEPTH.unknown)
        dropped = measured[generator.random(measured.size) < ratio]
        sparse.reshape(-1)[dropped] = SPARSE_DEPTH.unknown
        return dataclasses.replace(frame, maps={**frame.maps, key: sparse})
