"""Second-order total generalised variation (Bredies et al., 2010), with a photo's tensor (Ferstl et al., ICCV 2013).

    min over u, v of    alpha1 |T (grad u - v)| + alpha0 |sym grad v| + lambda / 2 sum_measured (u - sparse)^2

u is depth and v its slope: planes cost nothing, kinks little, steps most. T = exp(-beta |grad I|^gamma) n n' + m m', n along
the gradient of the photo and m across it, makes steps cheap where the photo has an edge; without the photo T = 1. Solved by
a bounded number of primal-dual steps (Pock and Chambolle, ICCV 2011) from another fill.

Shapes      (H, W) float32 metres, any size, 0 = not measured; (H, W, 3) RGB with photo=True -> (H, W) metres, all answered.
Test time   no weights. Measured pixels do not come back as they were. An empty map gives zeros.
Differs     from Ferstl et al.: steps end after a number, mostly before the minimum, so the start is seen; depth is in units of
            the mean measured depth, so that twice the depth gives twice the answer; the slope's gradient is symmetrised;
            answers are limited to the range of what was measured, which a plane may leave.
Cost        no parameters; some 30 passes over the image a step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..contracts import Completion
from ..layers.pixels import gray_photo, measured_pixels
from ..registry import CLASSICAL, build

#: Of the photo's tensor, for gray values 0..1.
_BETA, _GAMMA = 9.0, 0.85


class _Tensor(NamedTuple):
    """Symmetric 2x2 at each pixel: entries at (x, x), (x, y) and (y, y)."""

    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray


@CLASSICAL.register_module()
class TotalGeneralizedVariation(Completion):
    """The smoothest surface of planes near what was measured; with the photo its edges are where the photo's are.

    Args:
        alpha0: Price of a change of slope.
        alpha1: Price of a step.
        data: lambda: price of the squared distance to a measured depth, in units of the mean measured depth.
        iterations: Number of primal-dual steps.
        photo: Whether the photo says where steps are cheap; it is then needed.
        start: Config of the method whose answer it starts from.

    Raises:
        ValueError: A price is not above 0, or ``iterations`` is below 0.
        ConfigError: ``start`` is no method, or needs the photo where ``photo`` is False.
    """

    keeps_measured = False

    def __init__(
        self,
        alpha0: float = 2.0,
        alpha1: float = 1.0,
        data: float = 10.0,
        iterations: int = 150,
        photo: bool = False,
        start: Any = None,
    ) -> None:
        for name, price in (("alpha0", alpha0), ("alpha1", alpha1), ("data", data)):
            if not 0 < price < np.inf:
                raise ValueError(f"{name}={price!r} must be above 0")
        if iterations < 0:
            raise ValueError(f"iterations={iterations!r} must be 0 or more")
        self.alpha0 = alpha0
        self.alpha1 = alpha1
        self.data = data
        self.iterations = iterations
        self.photo = photo
        self.start: Completion = build(CLASSICAL, {"type": "Linear"} if start is None else start, "start")
        self.needs = ("sparse_depth", "image") if photo else self.start.needs

    def __call__(self, sparse_depth: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = not measured, maybe ``(H, W, 3)`` RGB 0..255 -> ``(H, W)`` float32 metres.

        Raises:
            DataError: The image is needed, and missing or of another size.
        """
        tensor = _photo_tensor(gray_photo(image, sparse_depth, type(self).__name__)) if self.photo else None
        measured = measured_pixels(sparse_depth)
        if not measured.any():
            return np.zeros(sparse_depth.shape, dtype=np.float32)
        depth = self.start(sparse_depth, image) if "image" in self.start.needs else self.start(sparse_depth)
        known = sparse_depth[measured]
        unit = known.mean(dtype=np.float64)
        target = np.where(measured, sparse_depth / unit, 0).astype(np.float32)
        minimised = self._minimise((depth / unit).astype(np.float32), target, measured, tensor)
        return np.clip((minimised * unit).astype(np.float32), known.min(), known.max())

    def _minimise(self, u: np.ndarray, target: np.ndarray, measured: np.ndarray, tensor: _Tensor | None) -> np.ndarray:
        # Each step is one over the sum of its row or column of the operators (Pock and Chambolle, lemma 2); T mixes two
        # rows, which adds at most a factor of sqrt(2).
        mixing = 1.0 if tensor is None else np.sqrt(2.0)
        step_p, step_q = np.float32(1 / (3 * mixing)), np.float32(1 / 2)
        step_u, step_v = np.float32(1 / (4 * mixing)), np.float32(1 / (mixing + 4))
        pull = (step_u * self.data * measured).astype(np.float32)
        v = _slopes(u)
        measurable = _has_difference(u.shape)
        p, q = np.zeros_like(v), np.zeros((3, *u.shape), dtype=np.float32)
        u_ahead, v_ahead = u, v
        for _ in range(self.iterations):
            p += step_p * _turned(_gradient(u_ahead) - v_ahead * measurable, tensor)
            p /= np.maximum(1, np.sqrt(p[0] ** 2 + p[1] ** 2) / np.float32(self.alpha1))
            q += step_q * _symmetric_gradient(v_ahead)
            # The entry off the diagonal stands for two.
            q /= np.maximum(1, np.sqrt(q[0] ** 2 + q[1] ** 2 + 2 * q[2] ** 2) / np.float32(self.alpha0))
            flow = _turned(p, tensor)
            u_before, v_before = u, v
            u = (u + step_u * _divergence(*flow) + pull * target) / (1 + pull)
            v = v + step_v * (flow * measurable + np.stack((_divergence(q[0], q[2]), _divergence(q[2], q[1]))))
            u_ahead, v_ahead = 2 * u - u_before, 2 * v - v_before
        return u


def _gradient(u: np.ndarray) -> np.ndarray:
    """Differences to the right and the lower neighbour, 0 where there is none: ``(2, H, W)``."""
    gradient = np.zeros((2, *u.shape), dtype=u.dtype)
    np.subtract(u[:, 1:], u[:, :-1], out=gradient[0, :, :-1])
    np.subtract(u[1:], u[:-1], out=gradient[1, :-1])
    return gradient


def _has_difference(shape: tuple[int, ...]) -> np.ndarray:
    """Where there is a right and a lower neighbour: bool ``(2, H, W)``. Elsewhere the slope is free: no difference tells it."""
    has = np.ones((2, *shape), dtype=bool)
    has[0, :, -1] = False
    has[1, -1] = False
    return has


def _slopes(u: np.ndarray) -> np.ndarray:
    """The gradient, carried on to the last column and row, so that a plane has one slope everywhere."""
    slopes = _gradient(u)
    slopes[0, :, -1:] = slopes[0, :, -2:-1] if u.shape[1] > 1 else 0
    slopes[1, -1:] = slopes[1, -2:-1] if u.shape[0] > 1 else 0
    return slopes


def _symmetric_gradient(v: np.ndarray) -> np.ndarray:
    """Entries at (x, x), (y, y) and (x, y) of the symmetric gradient: ``(2, H, W)`` to ``(3, H, W)``."""
    across, down = _gradient(v[0]), _gradient(v[1])
    return np.stack((across[0], down[1], (across[1] + down[0]) / 2))


def _divergence(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What makes ``-sum(div(x, y) u) = sum((x, y) . gradient(u))``; the last column of x and the last row of y are not read."""
    divergence = np.zeros_like(x)
    divergence[:, :-1] += x[:, :-1]
    divergence[:, 1:] -= x[:, :-1]
    divergence[:-1] += y[:-1]
    divergence[1:] -= y[:-1]
    return divergence


def _turned(p: np.ndarray, tensor: _Tensor | None) -> np.ndarray:
    if tensor is None:
        return p
    return np.stack((tensor.xx * p[0] + tensor.xy * p[1], tensor.xy * p[0] + tensor.yy * p[1]))


def _photo_tensor(gray: np.ndarray) -> _Tensor:
    """T of the photo; where it has no gradient T is 1, whatever n is there."""
    gradient = _gradient(gray)
    length = np.hypot(*gradient)
    x, y = gradient / np.where(length > 0, length, 1)
    less = 1 - np.exp(-_BETA * length**_GAMMA)
    return _Tensor(*(entry.astype(np.float32) for entry in (1 - less * x * x, -less * x * y, 1 - less * y * y)))
