"""Kinds of streets: their shares, their ground and light, and the drawn street itself.

Each layout is drawn by the generator alone. Nothing stands where the scanning car drives along the path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch

from .builder import Builder
from .ground import Ground
from .primitives import Primitives
from .shading import Light
from .streets import car_park, country, crossing, motorway, narrow, suburb
from .yard import yard


@dataclass(frozen=True)
class Scene:
    """A street at time 0.

    Args:
        layout: Name of its kind.
        ground: The ground.
        primitives: All bodies.
        light: Sun and look of the ground.
        lane: Distance of the own lane's middle from the road's axis; the camera stands at (0, 0).
    """

    layout: str
    ground: Ground
    primitives: Primitives
    light: Light
    lane: float


def _ground(
    rng: np.random.Generator, lane: float, half_width: float, kerb: float, bend: float, tilt: float = 0.0,
    tilt_from: float = 8.0, crossing: tuple[float, float] = (0.0, 0.0), wave: float = 0.0,
) -> Ground:  # fmt: skip
    return Ground(
        axis=(-lane, float(rng.normal(0, 0.012)), float(rng.normal(0, bend))),
        half_width=half_width,
        kerb=kerb,
        slope=float(rng.uniform(-0.02, 0.02)),
        bend=float(rng.normal(0, 1.5e-4)),
        crown=float(rng.uniform(0, 0.02)) / max(half_width, 1),
        tilt=tilt,
        tilt_from=tilt_from,
        wave=wave,
        phase=float(rng.uniform(0, 6.28)),
        crossing=crossing,
    )


#: By name: what builds the layout (given the builder, the own lane and the carriageway's half width), and its share.
LAYOUTS: dict[str, tuple[Callable[[Builder, float, float], None], float]] = {
    "narrow": (narrow, 0.32),
    "suburb": (suburb, 0.2),
    "country": (country, 0.14),
    "crossing": (crossing, 0.18),
    "motorway": (motorway, 0.06),
    "car_park": (car_park, 0.05),
    "yard": (yard, 0.05),
}


def _road(name: str, rng: np.random.Generator) -> tuple[Ground, float, bool]:
    """Ground, own lane and whether grass lies beside the road."""
    kerb = float(rng.uniform(0.05, 0.16))
    if name == "narrow":
        width = float(rng.uniform(3.9, 5.4))
        return _ground(rng, width / 2 - 0.95, width, kerb, 0.0008), width / 2 - 0.95, False
    if name == "suburb":
        width = float(rng.uniform(4.0, 5.6))
        return (
            _ground(rng, width / 2 - 0.9, width, kerb, 0.0015, float(rng.uniform(-0.03, 0.06))),
            width / 2 - 0.9,
            bool(rng.random() < 0.5),
        )
    if name == "country":
        width = float(rng.uniform(2.9, 4.0))
        tilt = float(rng.uniform(-0.1, 0.15))
        return _ground(rng, width / 2, width, 0.0, 0.002, tilt, width + 1.5, wave=float(rng.uniform(0, 0.12))), width / 2, True
    if name == "crossing":
        width = float(rng.uniform(6.6, 9.5))
        middle = (float(rng.uniform(22, 55)), float(rng.uniform(3.5, 7)))
        return _ground(rng, width / 2, width, kerb, 0.0003, crossing=middle), width / 2, False
    if name == "motorway":
        width = float(rng.uniform(5.6, 7.5))
        return _ground(rng, 0.0, width, 0.0, 0.0006, float(rng.uniform(-0.05, 0.2)), width + 2.5), 0.0, True
    # Open places: a car park, a yard.
    return _ground(rng, 0.0, 60.0, 0.0, 0.0), 0.0, False


def _light(name: str, ground: Ground, rng: np.random.Generator, green: bool) -> Light:
    half = ground.half_width
    marks: tuple[float, ...] = (0.0,) if name in ("suburb", "country", "narrow") and rng.random() < 0.6 else ()
    edges: tuple[float, ...] = (-half + 0.25, half - 0.25) if name in ("country", "motorway") else ()
    if name == "motorway":
        marks = (-1.8, 1.8)
    elif name == "crossing":
        marks, edges = (-half / 2, half / 2), (0.0,)
    elif name == "car_park":
        edges = (-8.2, -3.0, 3.0, 8.2)
    overcast = rng.random() < 0.3
    return Light(
        azimuth=float(rng.uniform(-3.14, 3.14)),
        height=float(rng.uniform(0.35, 1.1)),
        sun=float(rng.uniform(0.05, 0.15) if overcast else rng.uniform(0.6, 0.9)),
        ambient=float(rng.uniform(0.65, 0.85) if overcast else rng.uniform(0.3, 0.5)),
        sky=(float(rng.uniform(0.8, 1.0)), float(rng.uniform(0.55, 0.95))),
        road=float(rng.uniform(0.22, 0.42)),
        side=float(rng.uniform(0.3, 0.55)),
        side_green=green,
        lane_marks=marks,
        edge_marks=edges,
        seed=int(rng.integers(1 << 30)),
    )


def draw_scene(rng: np.random.Generator, layouts: tuple[str, ...] | None = None) -> Scene:
    """A street of one of the layouts (all of them by their shares)."""
    names = list(LAYOUTS if layouts is None else layouts)
    shares = np.array([LAYOUTS[name][1] for name in names])
    name = str(rng.choice(names, p=shares / shares.sum()))
    ground, lane, green = _road(name, rng)
    builder = Builder(ground, rng)
    # Things are placed with respect to the axis; the axis passes the camera at the lane's distance.
    LAYOUTS[name][0](builder, lane, ground.half_width)
    return Scene(name, ground, _clear_path(*builder.build(), ground), _light(name, ground, rng, green), lane)


def _clear_path(primitives: Primitives, thing: np.ndarray, ground: Ground) -> Primitives:
    """Without the things that reach into the space which the scanning car drives through, or hold the camera."""
    corners = primitives.corners()
    low, high = corners.amin(1), corners.amax(1)
    floor = ground.surface(primitives.centre[0], primitives.centre[1])
    blocking = (low[:, 0] < 1.05) & (high[:, 0] > -1.05) & (low[:, 1] < 8.0) & (high[:, 1] > -8.0)
    blocking &= (low[:, 2] - floor < 2.4) & (high[:, 2] - floor > 0.3)
    keep = torch.from_numpy(~np.isin(thing, thing[blocking.numpy()]))
    return Primitives(**{f.name: getattr(primitives, f.name)[..., keep] for f in fields(primitives)})
