"""Putting bodies together: a builder that collects them, and the things of a street that are made of several.

All random choices come from the builder's one generator. Places are given in road coordinates, ``s`` metres ahead along y and
``d`` metres to the right of the road's axis; heights count from the ground there, which is looked up for all bodies at once in
the end.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch

from .ground import Ground
from .primitives import Kind, Primitives, Stencil
from .shading import Texture

#: Cityscapes train ids.
ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, LIGHT, SIGN, VEGETATION, TERRAIN, SKY = range(11)
PERSON, RIDER, CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE = range(11, 19)

Color = tuple[float, float, float]


class Place(NamedTuple):
    """Where a thing stands: world x and y, angle counter-clockwise from its own y to the world's, velocity along x and y."""

    x: float
    y: float
    turn: float = 0.0
    velocity: tuple[float, float] = (0.0, 0.0)


class Builder:
    """Collects bodies.

    Args:
        ground: What things stand on.
        rng: Source of all random choices.
    """

    def __init__(self, ground: Ground, rng: np.random.Generator) -> None:
        self.ground = ground
        self.rng = rng
        self._rows: list[tuple[Any, ...]] = []

    def uniform(self, low: float, high: float) -> float:
        """A number between two."""
        return low + (high - low) * float(self.rng.random())

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return float(self.rng.random()) < probability

    def choose(self, options: Any) -> Any:
        """One of several."""
        return options[int(self.rng.integers(len(options)))]

    def shade(self, low: float, high: float, tint: float = 0.06) -> Color:
        """A dull colour of a brightness between two."""
        value = self.uniform(low, high)
        return tuple(min(max(value + self.uniform(-tint, tint), 0.02), 0.98) for _ in range(3))  # type: ignore[return-value]

    def place(self, s: float, d: float, turn: float = 0.0, speed: float = 0.0) -> Place:
        """A place on the road, turned with it; speed forward along the turned y."""
        c0, c1, c2 = self.ground.axis
        angle = self.ground.heading_at(s) + turn
        velocity = (-math.sin(angle) * speed, math.cos(angle) * speed)
        return Place(c0 + (c1 + c2 / 2 * s) * s + d, s, angle, velocity)

    def add(
        self,
        place: Place,
        kind: Kind,
        offset: tuple[float, float, float],
        half: tuple[float, float, float],
        color: Color,
        label: int,
        texture: int = Texture.PLAIN,
        turn: float = 0.0,
        taper: tuple[float, float, float] = (0.0, 0.0, 0.0),
        stencil: tuple[float, float, float, float, float] = (Stencil.SOLID, 0.0, 0.0, 0.0, 0.0),
        glass: bool = False,
        seed: int | None = None,
    ) -> None:
        """One body: ``offset`` from the place along its right, its forward and up, to the body's centre."""
        cos, sin = math.cos(place.turn), math.sin(place.turn)
        x = place.x + cos * offset[0] - sin * offset[1]
        y = place.y + sin * offset[0] + cos * offset[1]
        angle = place.turn + turn
        number = int(self.rng.integers(1 << 30)) if seed is None else seed
        self._rows.append(
            (int(kind), x, y, offset[2], *half, math.cos(angle), math.sin(angle), *taper, *stencil, *place.velocity, *color,
             int(texture), label, glass, number, place.x, place.y)
        )  # fmt: skip

    def build(self) -> tuple[Primitives, np.ndarray]:
        """All bodies so far, set on the ground, and for each the number of the thing (the place) that it is a part of."""
        table = torch.tensor(np.asarray(self._rows, dtype=np.float64).reshape(len(self._rows), 28).T.copy())
        centre = table[1:4].clone()
        # A thing stands on the ground at its place, whole: its parts don't follow the slope.
        centre[2] += self.ground.surface(table[26], table[27])
        small = table.to(torch.float32)
        bodies = Primitives(
            kind=table[0].long(),
            centre=centre.to(torch.float32),
            half=small[4:7],
            turn=small[7:9],
            taper=small[9:12],
            stencil=small[12:17],
            velocity=small[17:19],
            color=small[19:22],
            texture=table[22].long(),
            label=table[23].long(),
            glass=table[24] > 0,
            seed=table[25].to(torch.int32),
            scene=torch.zeros(len(self._rows), dtype=torch.int64),
        )
        return bodies, np.unique(table[26:].numpy(), axis=1, return_inverse=True)[1].reshape(-1)
