"""Ground truth of KITTI's kind: scans along the path, laid over each other and cleaned (Uhrig et al., 3DV 2017, in outline).

Of 11 scans (the frame's own always among them) those points are kept that agree with the median of what the camera sees around
them, and the nearest of these in a pixel. Then truth that stands far behind nearer truth close by is dropped: it was seen past
an edge. Where no camera is asked, points are held against the frame's own scan instead.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

#: Agreement with the camera: metres, and part of the depth.
_AGREE = (0.15, 0.02)
#: Truth that stands this much behind nearer truth is dropped, and this is a step of depth: metres, and part.
_BEHIND = (0.5, 0.08)


def smallest_around(depth: Tensor, size: int) -> Tensor:
    """Least known depth in a square window: ``(S, H, W)``, 0 = none -> ``(S, H, W)``, inf where none is known."""
    return -largest_around(-torch.where(depth > 0, depth, torch.inf), size)


def largest_around(values: Tensor, size: int) -> Tensor:
    """Largest value in a square window, first along rows and then along columns: ``(S, H, W)`` -> ``(S, H, W)``."""
    along = functional.max_pool2d(values[:, None], (1, size), stride=1, padding=(0, size // 2))
    return functional.max_pool2d(along, (size, 1), stride=1, padding=(size // 2, 0))[:, 0]


def nearest_agreeing(maps: Tensor, camera_depth: Tensor) -> Tensor:
    """Nearest of several maps' points in each pixel, of those that agree with the median of the camera's known depths in 5x5.

    Shapes: ``(S, N, H, W)`` and ``(S, H, W)`` metres, 0 = none -> ``(S, H, W)``.
    """
    frames, rows, columns = (maps > 0).any(1).nonzero(as_tuple=True)
    result = torch.zeros_like(camera_depth)
    if not len(rows):
        return result
    height, width = camera_depth.shape[1:]
    window = torch.arange(-2, 3, device=maps.device)
    i = (rows[:, None, None] + window[:, None]).clamp(0, height - 1)
    j = (columns[:, None, None] + window).clamp(0, width - 1)
    patches = camera_depth.flatten(0, 1)[frames[:, None, None] * height + i, j].flatten(1)
    count = (patches > 0).sum(1)
    ordered = torch.where(patches > 0, patches, torch.inf).sort(1).values
    median = torch.gather(ordered, 1, ((count - 1) // 2).clamp(min=0)[:, None])[:, 0]
    points = maps.transpose(0, 1)[:, frames, rows, columns]
    good = (points > 0) & (count > 0) & ((points - median).abs() <= _AGREE[0] + _AGREE[1] * median)
    nearest = torch.where(good, points, torch.inf).amin(0)
    result[frames, rows, columns] = torch.where(torch.isfinite(nearest), nearest, 0.0)
    return result


def nearest_confirmed(maps: Tensor) -> Tensor:
    """Nearest of several maps' points in each pixel, of those that a point of the first map agrees with in 7x7.

    What scans alone tell, as in truths that are made without a second sensor: near surfaces reach a pixel or two past the
    silhouettes that the camera sees, and background that the LiDAR alone sees stays where nothing nearer returns.

    Shapes: ``(S, N, H, W)`` metres, 0 = none -> ``(S, H, W)``.
    """
    frames, rows, columns = (maps > 0).any(1).nonzero(as_tuple=True)
    result = torch.zeros_like(maps[:, 0])
    padded = functional.pad(maps[:, 0], (3, 3, 3, 3))
    patches = padded.unfold(1, 7, 1).unfold(2, 7, 1)[frames, rows, columns].flatten(1)
    reach = torch.where(patches > 0, _AGREE[0] + _AGREE[1] * patches, -1.0)
    nearest = torch.full_like(result[frames, rows, columns], torch.inf)
    # Map by map: all of them against all neighbours at once would take gigabytes.
    for points in maps.transpose(0, 1)[:, frames, rows, columns]:
        good = (points > 0) & ((points[:, None] - patches).abs() <= reach).any(1)
        nearest = torch.where(good, torch.minimum(nearest, points), nearest)
    result[frames, rows, columns] = torch.where(torch.isfinite(nearest), nearest, 0.0)
    return result


def without_occluded(truth: Tensor, size: int = 7) -> Tensor:
    """Without truth that stands more than 0.5 m and 8 % behind nearer truth in the window."""
    near = smallest_around(truth, size)
    return torch.where((truth > near + _BEHIND[0]) & (truth > near * (1 + _BEHIND[1])), 0.0, truth)


def depth_steps(depth: Tensor) -> Tensor:
    """Pixels on both sides of a step: beside a direct neighbour that is more than 0.5 m and 8 % nearer or farther, or beside
    nothing at all.

    Shapes: ``(S, H, W)`` metres, 0 = nothing -> ``(S, H, W)`` bool.
    """
    far = torch.where(depth > 0, depth, torch.inf)
    steps = torch.zeros_like(depth, dtype=torch.bool)
    for axis in (1, 2):
        count = depth.shape[axis] - 1
        first, second = far.narrow(axis, 0, count), far.narrow(axis, 1, count)
        near, behind = torch.minimum(first, second), torch.maximum(first, second)
        step = (behind > near + _BEHIND[0]) & (behind > near * (1 + _BEHIND[1]))
        steps.narrow(axis, 0, count).logical_or_(step)
        steps.narrow(axis, 1, count).logical_or_(step)
    return steps


def with_edge_band(truth: Tensor, camera_depth: Tensor, pixels: int, farthest: float = 80.0) -> Tensor:
    """Truth whose pixels near the camera's depth steps are what the camera sees, nearer than ``farthest``.

    Within ``pixels`` of a step, sideways and up and down, truth is then known on both sides to the silhouette.
    """
    near_step = largest_around(depth_steps(camera_depth).float(), 2 * pixels + 1) > 0
    return torch.where(near_step, torch.where(camera_depth <= farthest, camera_depth, 0.0), truth)


def make_truth(
    scans: Tensor, camera_depth: Tensor, grow: Tensor, occlusion_filter: Tensor, of_scans: Tensor | None = None
) -> Tensor:
    """Semi-dense truth.

    Args:
        scans: ``(S, N, H, W)`` sparse maps of the scans in the frame's camera, the frame's own first; 0 = none.
        camera_depth: ``(S, H, W)`` metres, what the camera sees; 0 = nothing.
        grow: ``(S,)`` bool, on the processor: near surfaces grow by a pixel at a step, as the benchmark's truth has it.
        occlusion_filter: ``(S,)`` bool, on the processor: truth behind nearer truth is dropped.
        of_scans: ``(S,)`` bool, on the processor: truth is what scans alone tell, filtered; None is nowhere.

    Returns:
        ``(S, H, W)`` metres, 0 = unknown.
    """
    truth = nearest_agreeing(scans, _where(grow, _grown, camera_depth))
    truth = _where(occlusion_filter, without_occluded, truth)
    return truth if of_scans is None else _where(of_scans, lambda _: without_occluded(nearest_confirmed(scans)), truth)


def _where(chosen: Tensor, change: Callable[[Tensor], Tensor], maps: Tensor) -> Tensor:
    """Maps ``(S, H, W)``, the chosen ones changed."""
    if not chosen.any():
        return maps
    return torch.where(chosen[:, None, None].to(maps.device), change(maps), maps)


def _grown(depth: Tensor, pixels: int = 1) -> Tensor:
    """Camera depth whose near surfaces reach further over steps."""
    least = smallest_around(depth, 2 * pixels + 1)
    step = torch.isfinite(least) & ((depth == 0) | (depth - least > 0.3 + 0.03 * least))
    return torch.where(step, least, depth)
