"""A closed yard: a court of workshops and walls with a gate, where goods, containers and lorries stand."""

from __future__ import annotations

import math

from .builder import BUILDING, FENCE, WALL, Builder, Place
from .primitives import Kind, Stencil
from .shading import Texture
from .streets import backdrop, people
from .things import bin_or_box, building, bush, car, pole, truck, tuft, van

_WOOD = (0.5, 0.4, 0.28)


def yard(b: Builder, lane: float, width: float) -> None:
    """Walls or workshops on all sides near by, a gate in the far one, and along them what is stored and parked."""
    left, right = -b.uniform(6, 14), b.uniform(6, 14)
    end, back = b.uniform(22, 58), -b.uniform(9, 16)
    for side, d in ((-1, left), (1, right)):
        turn = 0.0 if side > 0 else math.pi
        s = back
        while s < end:
            length = min(b.uniform(9, 26), end - s)
            enclosure(b, b.place(s + length / 2, d, turn), length)
            s += length
        _stores(b, side, d, end)
    enclosure(b, b.place(back, (left + right) / 2, -math.pi / 2), right - left)
    _end(b, left, right, end)
    for _ in range(int(b.uniform(0, 3))):
        d = b.choose((-1, 1)) * b.uniform(2.6, 4.5)
        _goods(b, b.place(b.uniform(12, end - 3), d, b.uniform(-0.3, 0.3)))
    people(b, int(b.uniform(0, 5)), (1.8, 5.0))
    for _ in range(int(b.uniform(0, 16))):
        tuft(b, b.place(b.uniform(4, end), b.choose((left + 0.4, right - 0.4)), b.uniform(0, 3)), b.uniform(0.1, 0.35))
    # What is seen through the gate and over the walls.
    building(b, b.place(end + b.uniform(12, 20), b.uniform(-15, 15), math.pi / 2), b.uniform(20, 50), 10, b.uniform(4, 12))
    backdrop(b, end + 35, 0.5)


def enclosure(b: Builder, place: Place, length: float) -> None:
    """A part of the yard's edge along the place's forward axis, its face to the place's left: a workshop or a wall."""
    if b.chance(0.45):
        building(b, place, length, b.uniform(8, 14), b.uniform(4, 8.5), b.chance(0.3))
        at = -length / 2 + 3
        while at < length / 2 - 2:
            if b.chance(0.6):
                b.add(place, Kind.BOX, (-0.04, at, 1.9), (0.06, 1.7, 1.9), b.shade(0.3, 0.7, 0.12), BUILDING, Texture.STRIPES)
            at += b.uniform(4.2, 7)
        return
    height = b.uniform(1.9, 3.8)
    texture = b.choose((Texture.BRICKS, Texture.PLASTER))
    b.add(place, Kind.BOX, (0.15, 0, height / 2 - 0.2), (0.15, length / 2, height / 2 + 0.2), b.shade(0.3, 0.75), WALL, texture)
    b.add(place, Kind.BOX, (0.15, 0, height + 0.03), (0.22, length / 2, 0.04), b.shade(0.4, 0.7), WALL)
    for at in range(int(length / 4)):
        b.add(place, Kind.BOX, (0, 4 * at + 2 - length / 2, height / 2), (0.12, 0.2, height / 2), b.shade(0.35, 0.7), WALL)


def _end(b: Builder, left: float, right: float, s: float) -> None:
    """The far side with its gate: two leaves of mesh between posts, closed or swung open."""
    gate, half = b.uniform(left + 4, right - 4), b.uniform(2.2, 3.2)
    for low, high in ((left, gate - half), (gate + half, right)):
        if high - low > 0.5:
            enclosure(b, b.place(s, (low + high) / 2, math.pi / 2), high - low)
    height, swing = b.uniform(1.7, 2.6), b.choose((0.0, 0.0, 1.35, b.uniform(0.2, 1.2)))
    paint = b.shade(0.2, 0.6)
    for side in (-1, 1):
        hinge = b.place(s, gate + side * half)
        b.add(hinge, Kind.BOX, (0, 0, height / 2), (0.14, 0.14, height / 2 + 0.15), paint, WALL)
        # The leaf lies along its own x, from the hinge inwards; open leaves stand in the yard.
        turn = side * swing
        offset = (-side * half / 2 * math.cos(turn), -side * half / 2 * math.sin(turn), height / 2 + 0.08)
        b.add(hinge, Kind.BOX, offset, (half / 2, 0.015, height / 2 - 0.08), paint, FENCE, Texture.STRIPES, turn=turn,
              stencil=(Stencil.GRID, 0.13, 9.0, 0.8, 1.0))  # fmt: skip
        for at in (0.12, height - 0.05):
            b.add(hinge, Kind.BOX, (*offset[:2], at), (half / 2, 0.03, 0.04), paint, FENCE, turn=turn)


def _stores(b: Builder, side: int, d: float, end: float) -> None:
    """What stands along a side, from the camera to the end."""
    s = b.uniform(1, 6)
    along = 0.0 if b.chance(0.7) else math.pi
    while s < end - 6:
        kind = b.uniform(0, 1)
        if kind < 0.25:
            long = b.choose((6.06, 6.06, 12.19))
            container(b, b.place(s + long / 2, d - side * b.uniform(1.5, 2.0), along), long, b.choose((1, 1, 2, 3)))
            s += long
        elif kind < 0.45:
            for _ in range(int(b.uniform(1, 5))):
                _goods(b, b.place(s, d - side * b.uniform(0.8, 2.2), b.uniform(-0.1, 0.1)))
                s += b.uniform(1.0, 1.8)
        elif kind < 0.6 and abs(d) > 6.5:
            truck(b, b.place(s + 5.5, d - side * 1.9, along))
            s += 11
        elif kind < 0.75:
            (van if b.chance(0.6) else car)(b, b.place(s + 2.9, d - side * b.uniform(1.3, 1.7), along))
            s += 5.8
        elif kind < 0.9:
            bin_or_box(b, b.place(s, d - side * b.uniform(0.5, 1.2), b.uniform(0, 3)))
        elif kind < 0.95:
            pole(b, b.place(s, d - side * 0.6), arm=-side * b.uniform(0.8, 1.8))
        else:
            bush(b, b.place(s, d - side * 0.8))
        s += b.uniform(0.3, 5)


def container(b: Builder, place: Place, length: float = 6.06, levels: int = 1) -> None:
    """Freight containers (2.44 x 2.59 m) upon each other: corrugated boxes with corner posts and door bars."""
    half, height = 1.22, 2.59
    for level in range(levels):
        paint = (b.uniform(0.1, 0.6), b.uniform(0.12, 0.45), b.uniform(0.12, 0.5))
        z, shift = height * (level + 0.5), b.uniform(-0.15, 0.15) if level else 0.0
        b.add(place, Kind.BOX, (0, shift, z), (half - 0.03, length / 2 - 0.03, height / 2 - 0.05), paint, 255, Texture.STRIPES)
        for side in (-1, 1):
            for end in (-1, 1):
                corner = (side * (half - 0.06), shift + end * (length / 2 - 0.06), z)
                b.add(place, Kind.BOX, corner, (0.06, 0.06, height / 2), paint, 255)
            bar = (side * 0.45, shift - length / 2 - 0.01, z)
            b.add(place, Kind.CYLINDER, bar, (0.025, 0.025, height / 2 - 0.15), (0.6, 0.6, 0.6), 255)


def _goods(b: Builder, place: Place) -> None:
    """Empty pallets upon each other, a loaded one, or a pile of pipes or planks."""
    kind = b.uniform(0, 1)
    if kind < 0.45:
        height = 0.144 * int(b.uniform(2, 15))
        b.add(place, Kind.BOX, (0, 0, height / 2), (0.6, 0.4, height / 2), _WOOD, 255, Texture.STRIPES,
              stencil=(Stencil.GRID, 0.4, 0.144, 0.7, 0.6))  # fmt: skip
        b.add(place, Kind.BOX, (0, 0, height / 2), (0.1, 0.38, height / 2 - 0.01), _WOOD, 255)
    elif kind < 0.8:
        height = b.uniform(0.5, 1.6)
        b.add(place, Kind.BOX, (0, 0, 0.07), (0.6, 0.4, 0.07), _WOOD, 255)
        b.add(place, Kind.BOX, (0, 0, 0.14 + height / 2), (0.57, 0.38, height / 2), b.shade(0.3, 0.85, 0.12), 255)
    else:
        for row in range(3):
            for at in range(3 - row):
                x = 0.28 * (at - (2 - row) / 2)
                b.add(place, Kind.BOX, (x, 0, 0.14 + 0.26 * row), (0.12, 1.8, 0.12), b.shade(0.3, 0.6), 255)
