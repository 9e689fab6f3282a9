"""The ground: a height field with a carriageway, raised sides and the kerbs' faces between them.

    h(x, y) = slope y + bend y^2 / 2 - crown d^2 + tilt |d - edge|_+ + waves        d = x - c(y), the distance from the road's
    axis c(y) = c0 + c1 y + c2 y^2 / 2

Beside the carriageway (and a crossing one) the ground lies ``kerb`` metres higher; the kerb's face is the upright sheet above
its edge, which rays meet in closed form. The height field itself is met by Newton steps, exact for a plane at once.

All formulas hold for one ground and for a stack of several (``columns.py``), whose numbers are columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .columns import at_points, stacked
from .primitives import lengths

#: What a ray met: nothing, carriageway, raised side, kerb's face.
NOTHING, ROAD, SIDE, KERB = 0, 1, 2, 3
_STEPS = 4
#: What the formulas read.
_NUMBERS = ("axis", "half_width", "kerb", "slope", "bend", "crown", "tilt", "tilt_from", "wave", "phase", "crossing", "reach",
            "face", "crossing_ends", "wave_rises", "wave_start")  # fmt: skip
_FLAGS = ("has_kerb", "has_crossing", "has_waves")


@dataclass(frozen=True)
class Ground:
    """Numbers of the height field; lengths in metres.

    Args:
        axis: c0, c1, c2 of the road's axis.
        half_width: Of the carriageway.
        kerb: Height of the sides above the carriageway.
        slope, bend: Along y: rise a metre, and its change a metre.
        crown: Fall of the carriageway with the square of the distance from its axis, 1/m.
        tilt: Rise of the land a metre beyond ``tilt_from`` from the axis (up to 40 m of it).
        tilt_from: Where the land starts to rise or fall.
        wave: Height of long waves.
        phase: Of the waves, radians.
        crossing: Middle and half width of a carriageway across, along y; a half width of 0 is none.
        reach: Farthest ground.
    """

    axis: tuple[float, float, float] = (0.0, 0.0, 0.0)
    half_width: float = 1000.0
    kerb: float = 0.0
    slope: float = 0.0
    bend: float = 0.0
    crown: float = 0.0
    tilt: float = 0.0
    tilt_from: float = 8.0
    wave: float = 0.0
    phase: float = 0.0
    crossing: tuple[float, float] = (0.0, 0.0)
    reach: float = 400.0

    @staticmethod
    def stack(grounds: Sequence[Ground], device: torch.device | str) -> Ground:
        """Several grounds as one, for rays ``(S, R)``."""
        return stacked(grounds, _NUMBERS, _FLAGS, device)

    def at(self, which: Tensor) -> Ground:
        """For P points that lie on the grounds ``which (P,)`` of the stack."""
        return at_points(self, _NUMBERS, which)

    @cached_property
    def has_kerb(self) -> bool:
        """Whether the sides are raised."""
        return self.kerb > 0

    @cached_property
    def has_crossing(self) -> bool:
        """Whether a carriageway crosses."""
        return self.crossing[1] > 0

    @cached_property
    def has_waves(self) -> bool:
        """Whether the ground has waves."""
        return self.wave != 0

    @cached_property
    def face(self) -> float:
        """Height of the kerb's face; below 0 where there is none, as nothing is that low above the ground."""
        return self.kerb if self.has_kerb else -1.0

    @cached_property
    def crossing_ends(self) -> tuple[float, float]:
        """Where the carriageway across begins and ends along y; never, where there is none."""
        if not self.has_crossing:
            return math.inf, math.inf
        return self.crossing[0] - self.crossing[1], self.crossing[0] + self.crossing[1]

    @cached_property
    def wave_rises(self) -> tuple[float, float]:
        """Steepest rise of the waves along x and y."""
        return self.wave * 0.31, self.wave * 0.23

    @cached_property
    def wave_start(self) -> float:
        """The waves at the camera, where the ground's height is 0."""
        return math.sin(self.phase) * math.cos(2 * self.phase)

    def axis_at(self, y: Tensor) -> Tensor:
        """x of the road's axis."""
        return self.axis[0] + (self.axis[1] + self.axis[2] / 2 * y) * y

    def heading_at(self, y: float) -> float:
        """Direction of the road, radians counter-clockwise from y."""
        return -math.atan(self.axis[1] + self.axis[2] * y)

    def height(self, x: Tensor, y: Tensor) -> Tensor:
        """Height of the carriageway's surface, continued under the sides."""
        return self._height_and_slopes(x, y)[0]

    def is_road(self, x: Tensor, y: Tensor) -> Tensor:
        """Whether a place lies on a carriageway."""
        return ((x - self.axis_at(y)).abs() < self.half_width) | ((y - self.crossing[0]).abs() < self.crossing[1])

    def surface(self, x: Tensor, y: Tensor) -> Tensor:
        """Height of the ground with its raised sides."""
        return self.height(x, y) + torch.where(self.is_road(x, y), 0.0, self.kerb)

    def _height_and_slopes(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        d = x - self.axis_at(y)
        bow = self.axis[1] + self.axis[2] * y
        inner = d.clamp(-self.half_width, self.half_width)
        outer = (d.abs() - self.tilt_from).clamp(0, 40)
        height = self.slope * y + self.bend / 2 * y * y - self.crown * inner * inner + self.tilt * outer
        by_d = -2 * self.crown * torch.where(inner == d, d, 0.0)
        by_d = by_d + self.tilt * d.sign() * ((outer > 0) & (outer < 40))
        by_y = self.slope + self.bend * y - by_d * bow
        if self.has_waves:
            angle_x, angle_y = 0.31 * x + self.phase, 0.23 * y + 2 * self.phase
            height = height + self.wave * (torch.sin(angle_x) * torch.cos(angle_y) - self.wave_start)
            by_d = by_d + self.wave_rises[0] * torch.cos(angle_x) * torch.cos(angle_y)
            by_y = by_y - self.wave_rises[1] * torch.sin(angle_x) * torch.sin(angle_y)
        return height, by_d, by_y

    def normal(self, x: Tensor, y: Tensor) -> Tensor:
        """Unit normals of the height field, ``(3, R)``."""
        _, by_x, by_y = self._height_and_slopes(x, y)
        vector = torch.stack((-by_x, -by_y, torch.ones_like(by_x)))
        return vector / lengths(vector)

    def meet(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Nearest meeting of rays with the ground.

        Shapes: ``(3, ..., R)`` or ``(3, ..., 1)``, ``(3, ..., R)`` -> ray parameter ``(..., R)`` (inf = none) and what was met,
        uint8. A stack meets ``(3, S, R)``.
        """
        origins = origins.expand_as(directions)
        best = self._meet_level(origins, directions, 0.0)
        on_road = self.is_road(origins[0] + best * directions[0], origins[1] + best * directions[1])
        what = torch.full_like(best, ROAD, dtype=torch.uint8)
        if self.has_kerb:
            best = torch.where(on_road, best, torch.inf)
            side = self._meet_level(origins, directions, self.kerb)
            on_side = ~self.is_road(origins[0] + side * directions[0], origins[1] + side * directions[1])
            nearer = on_side & (side < best)
            best, what = torch.where(nearer, side, best), torch.where(nearer, SIDE, what)
            face = self._meet_kerbs(origins, directions)
            nearer = face < best
            best, what = torch.where(nearer, face, best), torch.where(nearer, KERB, what)
        else:
            what = torch.where(on_road, what, SIDE)
        return best, torch.where(torch.isfinite(best), what, NOTHING).to(torch.uint8)

    def _meet_level(self, origins: Tensor, directions: Tensor, level: float) -> Tensor:
        """Newton's steps from the plane below; a ray that does not settle has met nothing."""
        ox, oy, oz = origins
        dx, dy, dz = directions
        longest = (dx * dx + dy * dy + 1e-9).sqrt().reciprocal() * self.reach
        start = self.height(ox, oy) + level
        fall = self.slope * dy - dz
        t = torch.where(fall > 1e-4, (oz - start) / fall.clamp(min=1e-4), longest)
        t = torch.minimum(t, longest).clamp(min=0)
        off = t
        for step in range(_STEPS + 1):
            height, by_x, by_y = self._height_and_slopes(ox + t * dx, oy + t * dy)
            off = oz + t * dz - height - level
            if step < _STEPS:
                rate = dz - by_x * dx - by_y * dy
                move = off / torch.where(rate.abs() < 1e-4, -1e-4, rate)
                t = torch.minimum((t - move).clamp(min=0), longest)
        settled = (off.abs() < 0.004 + 1e-4 * t) & (t > 1e-3) & (t < longest)
        return torch.where(settled, t, torch.inf)

    def _meet_kerbs(self, origins: Tensor, directions: Tensor) -> Tensor:
        """The upright sheets between carriageway and sides."""
        ox, oy, oz = origins
        dx, dy, dz = directions
        c0, c1, c2 = self.axis
        best = torch.full_like(dx, torch.inf)

        def keep(t: Tensor, inside: Tensor) -> None:
            nonlocal best
            x, y, z = ox + t * dx, oy + t * dy, oz + t * dz
            above = z - self.height(x, y)
            ok = (t > 1e-3) & (above >= 0) & (above <= self.face) & inside & (x.abs() + y.abs() < self.reach)
            best = torch.where(ok & (t < best), t, best)

        for edge in (-self.half_width, self.half_width):
            a = -c2 / 2 * dy * dy
            b = dx - (c1 + c2 * oy) * dy
            c = ox - (c0 + (c1 + c2 / 2 * oy) * oy) - edge
            discriminant = b * b - 4 * a * c
            root = discriminant.clamp(min=0).sqrt()
            # The stable form: the root that stays finite as the road becomes straight.
            divisor = torch.where(b >= 0, b + root, b - root)
            for t in (
                -2 * c / torch.where(divisor.abs() < 1e-9, 1e-9, divisor),
                -divisor / (2 * torch.where(a.abs() < 1e-12, 1e-12, a)),
            ):
                keep(t, (discriminant >= 0) & (((oy + t * dy) - self.crossing[0]).abs() >= self.crossing[1]))
        if self.has_crossing:
            for edge in self.crossing_ends:
                t = (edge - oy) / torch.where(dy.abs() < 1e-9, 1e-9, dy)
                keep(t, ((ox + t * dx) - self.axis_at(oy + t * dy)).abs() >= self.half_width)
        return best
