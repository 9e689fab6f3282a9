"""Holes in the sparse depth: discs without points.

    d'(u, v) = 0 where |(u, v) - c_i| <= r_i for any i <= blobs,        c_i ~ U(image), r_i ~ U(radius)

Shapes      sparse depth (H, W) -> the same; all other maps pass untouched.
Test time   in the test data's transforms it measures robustness to holes, as glass, water and black paint make them: with one
            radius, more blobs are the same ones and more.
Differs     nothing.
Cost        a distance a pixel and blob.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import Frame
from ..sparse_points import ascending, sparse_of, with_sparse


@TRANSFORMS.register_module()
class DropBlobs(Transform):
    """Forget the measured points inside random discs.

    Args:
        blobs: Number of discs.
        radius: Pixels; or (least, greatest), from which each disc's is drawn evenly.

    Raises:
        ValueError: A negative number, or a radius below 0 or not in ascending order.
        ConfigError: (when called) Sparse depth is not among the inputs.
    """

    def __init__(self, blobs: int = 10, radius: float | Sequence[float] = 20.0) -> None:
        if blobs < 0:
            raise ValueError(f"blobs must be at least 0, not {blobs}")
        self.blobs = blobs
        self.radius = ascending(radius, "radius", 0.0, unit="pixels")

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame with holes."""
        sparse = sparse_of(frame, "DropBlobs").copy()
        height, width = frame.size
        rows, columns = np.ogrid[:height, :width]
        for across, down, share in generator.random((self.blobs, 3)):
            radius = self.radius[0] + share * (self.radius[1] - self.radius[0])
            # A pixel's area reaches half a pixel beyond its centre, so that all of the image is drawn alike.
            centre_u, centre_v = across * width - 0.5, down * height - 0.5
            sparse[(columns - centre_u) ** 2 + (rows - centre_v) ** 2 <= radius**2] = 0
        return with_sparse(frame, sparse)
