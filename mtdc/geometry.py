"""Pure functions on depth and intrinsics; the only file that knows the pixel-centre rule.

The rule: the centre of the first pixel is (0, 0), so pixel (u, v) covers [u - 0.5, u + 0.5]. Intrinsics K are ``(3, 3)`` in
pixels of the image they belong to; depth is z along the optical axis in metres.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

#: Normals of depth: the window's radius in pixels; how far a neighbour's inverse depth may be from the pixel's, and then from
#: the fitted plane, as shares of the pixel's; the fewest neighbours; the least spread of them in any direction, pixels^2; the
#: greatest standard error of the normal's direction, degrees.
NORMAL_RADIUS = 3
NORMAL_SIMILAR, NORMAL_RESIDUAL = 0.15, 0.02
NORMAL_POINTS, NORMAL_SPREAD = 6, 0.4
NORMAL_ERROR_DEG = 5.0


def crop_intrinsics(intrinsics: np.ndarray, left: float, top: float) -> np.ndarray:
    """K after the first ``left`` columns and ``top`` rows are cut off (negative: padded)."""
    result = intrinsics.copy()
    result[0, 2] -= left
    result[1, 2] -= top
    return result


def flip_intrinsics(intrinsics: np.ndarray, width: int) -> np.ndarray:
    """K after a left-right flip of an image of that width: cx -> W - 1 - cx.

    The camera frame is mirrored with the image (x -> -x), so fx keeps its sign.
    """
    result = intrinsics.copy()
    result[0, 2] = width - 1 - result[0, 2]
    result[0, 1] = -result[0, 1]
    return result


def resize_intrinsics(intrinsics: np.ndarray, scale_x: float, scale_y: float) -> np.ndarray:
    """K after resizing by (scale_x, scale_y): u' = (u + 0.5) s - 0.5, as the pixel's borders scale and not its centre."""
    result = intrinsics.copy()
    result[0] *= scale_x
    result[1] *= scale_y
    result[0, 2] += 0.5 * scale_x - 0.5
    result[1, 2] += 0.5 * scale_y - 0.5
    return result


def back_project(depth: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Points of all pixels in the camera frame (x right, y down, z forward): ``(H, W)`` metres -> ``(H, W, 3)`` metres."""
    height, width = depth.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    rays = np.stack((columns, rows, np.ones_like(rows)), axis=-1) @ np.linalg.inv(intrinsics).T
    return rays * depth[..., None]


def project(points: np.ndarray, projection: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and depth of points: ``(N, 3)`` and a ``(3, 3)`` K or ``(3, 4)`` P -> ``(N, 2)`` (u, v), ``(N,)`` metres.

    Points behind the camera come back with their depth <= 0 and coordinates that mean nothing.
    """
    if projection.shape[1] == 4:
        points = np.concatenate((points, np.ones((len(points), 1))), axis=1)
    image = points @ projection.T
    depth = image[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return image[:, :2] / depth[:, None], depth


def splat_nearest(pixels: np.ndarray, depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """Sparse depth map of projected points: rounded to pixels, the nearest point of a pixel kept.

    Shapes: ``(N, 2)`` (u, v) and ``(N,)`` metres -> ``(H, W)`` float32 metres, 0 = no point.
    """
    inside = (depth > 0) & np.isfinite(pixels).all(axis=1)
    columns, rows = np.rint(pixels[inside]).astype(np.int64).T
    depth = depth[inside]
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    nearest = np.full(height * width, np.inf)
    np.minimum.at(nearest, rows[inside] * width + columns[inside], depth[inside])
    return np.where(np.isfinite(nearest), nearest, 0.0).reshape(height, width).astype(np.float32)


def normals_from_depth(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Normals of the planes that a depth map's known pixels lie on with their neighbours, in the camera's frame.

    A plane's inverse depth is linear in the pixel, q = b . (u, v, 1), and its normal is -K^T b / |K^T b|, towards the camera.
    b is fitted by least squares to the known pixels of a window whose inverse depth is near the pixel's, which leaves out what
    is behind a depth edge, and once more to those near that plane. Where few are left, where they lie on one line, where they
    scatter about the plane so that its standard error turns the normal by more than ``NORMAL_ERROR_DEG``, and where K is not
    known (NaN), the normal is unknown.

    Shapes: ``(B, 1, H, W)`` metres, 0 = unknown, dense or not, and ``(B, 3, 3)`` pixels -> ``(B, 3, H, W)``, 0 = unknown.
    """
    depth, intrinsics = depth.detach(), intrinsics.detach().double()
    near = torch.where(depth > 0, 1 / depth.double().clamp(min=1e-3), 0)
    # Relative to the pixel's own, so that limits mean the same near and far: the plane is 1 + offset + slope . (du, dv).
    plane, trusted, _ = _fit_planes(near, torch.zeros_like(near).expand(-1, 3, -1, -1), NORMAL_SIMILAR)
    plane, again, slope_error = _fit_planes(near, plane, NORMAL_RESIDUAL)
    height, width = depth.shape[-2:]
    rows = torch.arange(height, device=depth.device, dtype=torch.float64)[:, None]
    columns = torch.arange(width, device=depth.device, dtype=torch.float64)
    slope_u, slope_v, offset = plane.unbind(dim=1)
    linear = torch.stack((slope_u, slope_v, 1 + offset - slope_u * columns - slope_v * rows), dim=1)
    vector = -torch.einsum("bij,bihw->bjhw", intrinsics, linear)
    length = vector.norm(dim=1, keepdim=True)
    # A change of slope moves the vector by so much across its direction, in units of its length.
    focal = intrinsics[:, 0, 0].view(-1, 1, 1, 1)
    turned = torch.rad2deg(torch.atan(focal * slope_error / length.clamp(min=1e-12)))
    known = trusted & again & torch.isfinite(length) & (length > 0) & (turned <= NORMAL_ERROR_DEG)
    return torch.where(known, vector / length, 0).to(depth.dtype)


def _fit_planes(near: Tensor, plane: Tensor, limit: float) -> tuple[Tensor, Tensor, Tensor]:
    """Around each pixel the plane (slopes, offset) of the neighbours within ``limit`` of a first one.

    With where to trust it, and the standard error of its worst slope.
    """
    radius, (height, width) = NORMAL_RADIUS, near.shape[-2:]
    padded = functional.pad(near, (radius,) * 4)
    own = near.where(near > 0, 1)
    sums = near.new_zeros(near.shape[0], 10, height, width)
    for dv in range(-radius, radius + 1):
        for du in range(-radius, radius + 1):
            other = padded[..., radius + dv : radius + dv + height, radius + du : radius + du + width]
            value = other / own - 1
            expected = plane[:, :1] * du + plane[:, 1:2] * dv + plane[:, 2:]
            counts = (other > 0) & (near > 0) & ((value - expected).abs() <= limit)
            one = counts.to(near.dtype)
            moment = value.mul_(one)
            # In place, and nothing where a factor is 0: a stack of all ten terms takes twice the time.
            for place, factor in enumerate((1, du, dv, du * du, du * dv, dv * dv)):
                if factor:
                    sums[:, place : place + 1].add_(one, alpha=factor)
            for place, factor in ((6, du), (7, dv), (8, 1)):
                if factor:
                    sums[:, place : place + 1].add_(moment, alpha=factor)
            sums[:, 9:].addcmul_(moment, moment)
    count = sums[:, :1].clamp(min=1)
    mean_u, mean_v, uu, uv, vv, uq, vq, mean_q, qq = (sums[:, 1:] / count).split(1, dim=1)
    uu, uv, vv = uu - mean_u**2, uv - mean_u * mean_v, vv - mean_v**2
    uq, vq = uq - mean_u * mean_q, vq - mean_v * mean_q
    half = (uu + vv) / 2
    determinant = uu * vv - uv**2
    spread = half - (half**2 - determinant).clamp(min=0).sqrt()
    trusted = (sums[:, :1] >= NORMAL_POINTS) & (spread >= NORMAL_SPREAD)
    safe = determinant.where(trusted, 1)
    slope_u, slope_v = (vv * uq - uv * vq) / safe, (uu * vq - uv * uq) / safe
    fitted = torch.cat((slope_u, slope_v, mean_q - slope_u * mean_u - slope_v * mean_v), dim=1)
    scatter = (qq - mean_q**2 - slope_u * uq - slope_v * vq).clamp(min=0) * count / (count - 3).clamp(min=1)
    slope_error = (scatter / (count * spread.clamp(min=NORMAL_SPREAD))).sqrt()
    return fitted.where(trusted, 0), trusted, slope_error
