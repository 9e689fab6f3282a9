"""Kinds of streets: where the things stand.

Each is drawn by the builder's generator alone. Traffic keeps right; the camera's car stands in its own lane at s = 0, and
nothing is put into that lane within 5 m ahead.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .builder import BUILDING, POLE, VEGETATION, Builder
from .primitives import Kind, Stencil
from .shading import Texture
from .things import (
    bicycle,
    bin_or_box,
    building,
    bush,
    car,
    clump,
    cyclist,
    fence,
    hedge,
    person,
    pole,
    rail,
    sign,
    traffic_light,
    tree,
    truck,
    tuft,
    vehicle,
)


def _parked(b: Builder, side: int, d: float, start: float, end: float, density: float, big: float = 0.03) -> None:
    """A row of parked vehicles along the kerb."""
    s = start
    while s < end:
        if b.chance(density):
            turn = (0.0 if side > 0 or b.chance(0.3) else math.pi) + b.uniform(-0.04, 0.04)
            vehicle(b, b.place(s, side * d + b.uniform(-0.12, 0.12), turn), big)
            s += 8.5 if big > 0.05 else 6.4
        s += b.uniform(0.0, 2.5) if density > 0.5 else b.uniform(2, 9)


def _traffic(
    b: Builder, lanes: list[tuple[float, int]], own: float, moving: float, gap: tuple[float, float], big: float
) -> None:
    """Vehicles in lanes ``(d, direction)``; the first in the own lane is at least 5 m ahead of its bumper's reach."""
    for d, direction in lanes:
        s = b.uniform(11, 22) if abs(d - own) < 1 else b.uniform(-4, 30)
        if abs(d - own) < 1 and b.chance(0.3):
            s += 25
        while s < 95:
            speed = b.uniform(3, 13) if b.chance(moving) else 0.0
            far_off = s if s > 13 or abs(d - own) >= 1 else 13.0
            vehicle(b, b.place(far_off, d + b.uniform(-0.25, 0.25), 0.0 if direction > 0 else math.pi, speed), big)
            s += b.uniform(*gap) + 5


def _houses(
    b: Builder, side: int, d: float, gaps: float, height: tuple[float, float], gable: float, start: float = -12.0
) -> None:
    """Buildings along the street, ``d`` metres from the axis to their fronts."""
    s = start
    while s < 100:
        width, depth = b.uniform(7, 16), b.uniform(8, 13)
        place = b.place(s + width / 2, side * (d + b.uniform(0, 0.6 + gaps * 0.3)), 0.0 if side > 0 else math.pi)
        building(b, place, width, depth, b.uniform(*height), b.chance(gable))
        s += width + (b.uniform(0, gaps) if gaps else 0.02)


def people(b: Builder, count: int, d: tuple[float, float]) -> None:
    """People on foot between two distances from the axis, on either side."""
    for _ in range(count):
        side, turn = b.choose((-1, 1)), b.uniform(0, 6.28)
        person(b, b.place(b.uniform(5, 45), side * b.uniform(*d), turn, 1.2 if b.chance(0.6) else 0.0))


def backdrop(b: Builder, distance: float, woods: float) -> None:
    """The end of the street and what stands far away on both sides: tree lines and far fronts."""
    for _ in range(int(b.uniform(9, 15))):
        s, d = distance + b.uniform(-15, 60), b.uniform(-75, 75)
        if abs(d) < 5 and s < 130:
            s = 140.0
        if b.chance(woods):
            half = (b.uniform(6, 16), b.uniform(2, 4), b.uniform(2.5, 6))
            green = (b.uniform(0.12, 0.22), b.uniform(0.2, 0.32), b.uniform(0.08, 0.14))
            b.add(b.place(s, d), Kind.BALL, (0, 0, half[2] * 0.6), half, green, VEGETATION, Texture.LEAVES,
                  stencil=(Stencil.HASH, 0.6, 0.85, 0, 0))  # fmt: skip
        else:
            half = (b.uniform(5, 14), 5.0, b.uniform(3, 8))
            b.add(b.place(s, d), Kind.BOX, (0, 0, half[2] - 1), half, b.shade(0.4, 0.8), BUILDING, Texture.WINDOWS)


def _end_of_road(b: Builder, s: float, woods: float) -> None:
    """What closes the street where it bends away or meets another: fronts across it, or a wood's edge."""
    d = -b.uniform(22, 40)
    if b.chance(woods):
        green = (b.uniform(0.14, 0.26), b.uniform(0.24, 0.36), b.uniform(0.08, 0.14))
        hedge(b, b.place(s - 2, 0, math.pi / 2), b.uniform(30, 70), b.uniform(0.8, 2.4), 1.5)
        while d < 30:
            half = (b.uniform(3, 6), b.uniform(2, 3), b.uniform(3, 5.5))
            clump(b, b.place(s + b.uniform(0, 3), d), (0, 0, half[2] * 0.75), half, green)
            d += half[0] * b.uniform(0.9, 1.6)
        return
    while d < 25:
        width = b.uniform(10, 24)
        building(b, b.place(s, d + width / 2, math.pi / 2), width, b.uniform(8, 12), b.uniform(4, 14), b.chance(0.5))
        d += width + (b.uniform(0, 5) if b.chance(0.3) else 0.02)
    for _ in range(int(b.uniform(0, 4))):
        car(b, b.place(s - b.uniform(2, 3), b.uniform(-16, 16), math.pi / 2 * b.choose((-1, 1))))


def _wires(b: Builder, d: float, height: float) -> None:
    for at in range(int(b.uniform(1, 4))):
        b.add(b.place(40, d + 0.3 * at), Kind.BOX, (0, 0, height + 0.2 * at), (0.015, 60, 0.015), (0.1, 0.1, 0.1), 255)


def _furniture(b: Builder, d: float, lamps: float, signs: float, bins: float, start: float = 4.0) -> None:
    for side in (-1, 1):
        s = b.uniform(start, start + 18)
        while s < 90:
            if b.chance(lamps):
                pole(b, b.place(s, side * d), arm=-side * b.uniform(0.8, 1.8))
            s += b.uniform(15, 28)
        for _ in range(int(b.uniform(0, 7 * signs))):
            sign(
                b,
                b.place(
                    b.uniform(start, 60), side * (d + b.uniform(-0.1, 0.4)), b.uniform(-0.2, 0.2) + (math.pi if side < 0 else 0)
                ),
            )
        for _ in range(int(b.uniform(0, 7 * bins))):
            bin_or_box(b, b.place(b.uniform(start, 45), side * (d + b.uniform(0.2, 1.2)), b.uniform(0, 3)))


def _verge(b: Builder, d: float, count: int, height: float, reach: float = 5.0) -> None:
    """Rough ground beside the road."""
    for _ in range(count):
        s = 3 + 55 * b.uniform(0, 1) ** 1.5
        tuft(
            b,
            b.place(s, b.choose((-1, 1)) * (d + reach * b.uniform(0, 1) ** 1.3), b.uniform(0, 3)),
            height * b.uniform(0.3, 1.0),
        )


def narrow(b: Builder, lane: float, width: float) -> None:
    """A narrow street between fronts, with parked vehicles on one side or both."""
    walk = b.uniform(1.4, 3.2)
    for side in (-1, 1):
        _houses(b, side, width + walk, 0.0 if b.chance(0.75) else 5.0, (6, 15), 0.4)
        if b.chance(0.8):
            _parked(b, side, width - 0.95, 3.5 if side > 0 else -2, 70, b.uniform(0.25, 0.75))
        for _ in range(int(b.uniform(0, 3))):
            bicycle(b, b.place(b.uniform(5, 30), side * (width + walk - 0.5), b.uniform(-0.3, 0.3)))
    _traffic(b, [(lane, 1), (-lane, -1)], lane, 0.7, (15, 45), 0.05)
    _furniture(b, width + 0.4, 0.7, 0.6, 0.8)
    people(b, int(b.uniform(0, 7)), (width + 0.5, width + walk - 0.4))
    if b.chance(0.4):
        _wires(b, width + 1, 6.5)
    if b.chance(0.25):
        _end_of_road(b, b.uniform(45, 78), 0.15)
    backdrop(b, 85, 0.4)


def suburb(b: Builder, lane: float, width: float) -> None:
    """Houses behind gardens, hedges, fences, trees, parked cars."""
    walk = b.uniform(1.4, 2.6)
    for side in (-1, 1):
        garden = b.uniform(3, 8)
        _houses(b, side, width + walk + garden, 3.5, (3.5, 7), 0.85)
        s = b.uniform(-5, 3)
        while s < 75:
            length, draw = b.uniform(4, 12), b.uniform(0, 1)
            edge = b.place(s + length / 2, side * (width + walk + 0.35))
            if draw < 0.55:
                hedge(b, edge, length, b.uniform(0.8, 2.2), b.uniform(0.5, 1.0))
            elif draw < 0.8:
                fence(b, edge, length)
            s += length + b.uniform(0.5, 4)
        for _ in range(int(b.uniform(2, 7))):
            tree(b, b.place(b.uniform(4, 70), side * (width + walk + b.uniform(1.2, garden + 3))))
        for _ in range(int(b.uniform(3, 9))):
            bush(b, b.place(b.uniform(4, 40), side * (width + walk + b.uniform(1, garden))))
        if b.chance(0.8):
            _parked(b, side, width - 1.0, 3.0 if side > 0 else -2, 65, b.uniform(0.05, 0.5))
    _traffic(b, [(lane, 1), (-lane, -1)], lane, 0.8, (20, 60), 0.04)
    _furniture(b, width + 0.35, 0.6, 0.4, 0.6)
    people(b, int(b.uniform(0, 4)), (width + 0.4, width + walk))
    if b.chance(0.4):
        _end_of_road(b, b.uniform(38, 76), 0.5)
    backdrop(b, 80, 0.75)


def country(b: Builder, lane: float, width: float) -> None:
    """A road through fields and woods: rough verges, trees, bushes, rails, far tree lines."""
    for side in (-1, 1):
        kind = b.uniform(0, 1)
        if kind < 0.45:
            for _ in range(int(b.uniform(10, 24))):
                tree(b, b.place(b.uniform(3, 85), side * (width + b.uniform(2.0, 16))))
        elif kind < 0.65:
            hedge(b, b.place(30, side * (width + b.uniform(1.5, 4))), 70, b.uniform(1.0, 2.2), 1.2)
        for _ in range(int(b.uniform(6, 20))):
            bush(b, b.place(b.uniform(4, 60), side * (width + b.uniform(1.5, 9))))
        if b.chance(0.35):
            rail(b, b.place(30, side * (width + 0.8)), 80)
        for s in range(5, 90, 25):
            b.add(b.place(s + side * 3, side * (width + 0.7)), Kind.BOX, (0, 0, 0.45), (0.06, 0.05, 0.5), (0.9, 0.9, 0.9), POLE)
        if b.chance(0.4):
            building(b, b.place(b.uniform(25, 70), side * b.uniform(12, 25), 0.0 if side > 0 else math.pi), 12, 9, 4.5, True)
    _verge(b, width + 0.4, 70, 0.5)
    _traffic(b, [(lane, 1), (-lane, -1)], lane, 0.95, (25, 70), 0.15)
    _furniture(b, width + 1.0, 0.15, 0.6, 0.1)
    if b.chance(0.4):
        _wires(b, width + 4, 7)
    if b.chance(0.35):
        _end_of_road(b, b.uniform(40, 78), 0.95)
    backdrop(b, 75, 0.95)


def crossing(b: Builder, lane: float, width: float) -> None:
    """A wide street with several lanes and a crossing one."""
    middle, half = b.ground.crossing
    walk = b.uniform(2.5, 5)
    for side in (-1, 1):
        s = -12.0
        while s < 110:
            length = b.uniform(9, 20)
            if s + length > middle - half - walk - 1 and s < middle + half + walk + 1:
                s = middle + half + walk + 1.5
                continue
            building(
                b, b.place(s + length / 2, side * (width + walk), 0.0 if side > 0 else math.pi), length, 12, b.uniform(5, 18)
            )
            s += length + (b.uniform(0, 6) if b.chance(0.3) else 0.02)
        for _ in range(int(b.uniform(0, 7))):
            tree(b, b.place(b.uniform(4, 60), side * (width + b.uniform(0.8, 1.5))))
        traffic_light(b, b.place(middle - half - 1.5, side * (width + 0.6)))
    _traffic(b, [(lane, 1), (lane - 3.3, 1), (-lane, -1), (-lane + 3.3, -1)][: 4 if width > 6 else 1], lane, 0.5, (7, 30), 0.1)
    for d in np.arange(-30.0, 31.0, b.uniform(9, 18)):
        if b.chance(0.6):
            turn = math.pi / 2 if b.chance(0.5) else -math.pi / 2
            place = b.place(middle + (half / 2 if turn < 0 else -half / 2), float(d), turn, 6.0 if b.chance(0.6) else 0.0)
            vehicle(b, place, 0.08)
    for _ in range(int(b.uniform(0, 3))):
        cyclist(b, b.place(b.uniform(8, 40), b.choose((-1, 1)) * (width - 0.6), 0.0, 4.0))
    _furniture(b, width + 0.5, 0.8, 0.8, 0.6)
    people(b, int(b.uniform(1, 9)), (width + 0.5, width + walk))
    if b.chance(0.15):
        _end_of_road(b, middle + half + b.uniform(6, 20), 0.2)
    backdrop(b, 90, 0.3)


def motorway(b: Builder, lane: float, width: float) -> None:
    """Lanes in one direction, rails, a middle strip with the other direction behind it, perhaps a bridge."""
    rail(b, b.place(45, -width - 0.6), 120)
    if b.chance(0.7):
        rail(b, b.place(45, width + 0.8), 120)
    _traffic(b, [(lane, 1), (lane - 3.6, 1), (lane + 3.6, 1)], lane, 0.95, (15, 50), 0.2)
    for at in range(2):
        s = b.uniform(0, 30)
        while s < 95:
            vehicle(b, b.place(s, -width - 4.5 - 3.6 * at, math.pi, b.uniform(20, 30)), 0.15)
            s += b.uniform(20, 60)
    for side, count in ((1, 18), (-1, 10)):
        for _ in range(int(b.uniform(2, count))):
            thing: Callable[..., None] = tree if b.chance(0.5) else bush
            thing(b, b.place(b.uniform(6, 85), side * (width + (4 if side > 0 else 14) + b.uniform(0, 14))))
    if b.chance(0.5):
        b.add(b.place(40, width + 6), Kind.BOX, (0, 0, 1.5), (0.15, 60, 1.7), b.shade(0.35, 0.6), 3, Texture.STRIPES)
    if b.chance(0.3):
        s = b.uniform(30, 80)
        b.add(b.place(s, 0), Kind.BOX, (0, 0, 6), (45, 5, 0.7), b.shade(0.5, 0.7), BUILDING, Texture.PLASTER)
        for d in (-width - 2, width + 2):
            b.add(b.place(s, d), Kind.CYLINDER, (0, 0, 2.8), (0.6, 0.6, 3), b.shade(0.5, 0.7), BUILDING)
    elif b.chance(0.4):
        s = b.uniform(25, 70)
        b.add(b.place(s, width + 1.5), Kind.CYLINDER, (0, 0, 3.5), (0.12, 0.12, 3.6), (0.5, 0.5, 0.5), POLE)
        b.add(b.place(s, width / 2), Kind.BOX, (0, 0, 6.3), (width / 2, 0.1, 1.1), (0.1, 0.2, 0.6), 7)
    _verge(b, width + 1.2, 45, 0.35)
    _furniture(b, width + 1.6, 0.1, 0.3, 0.0)
    backdrop(b, 100, 0.9)


def car_park(b: Builder, lane: float, width: float) -> None:
    """Rows of parked cars on an open place, trolleys, lamps, a large building, trees between the rows."""
    for row in (-2, -1, 1, 2):
        d = math.copysign(5.6 + (abs(row) - 1) * 5.3, row)
        for s in np.arange(-3.0, 60.0, 2.55):
            if b.chance(0.72):
                car(b, b.place(float(s), d + b.uniform(-0.3, 0.3), math.pi / 2 * b.choose((-1, 1)) + b.uniform(-0.05, 0.05)))
    for side in (-1, 1):
        for s in np.arange(8.0, 60.0, 15.0):
            tree(b, b.place(float(s) + b.uniform(-2, 2), side * (8.3 + b.uniform(-0.2, 0.2))), b.uniform(4, 6))
        building(b, b.place(35, side * b.uniform(19, 30), 0.0 if side > 0 else math.pi), 60, 20, b.uniform(5, 10))
        pole(b, b.place(b.uniform(10, 30), side * 8.2), arm=1.0)
    people(b, int(b.uniform(1, 6)), (1.9, 4.0))
    truck(b, b.place(b.uniform(50, 70), 0.0, math.pi / 2))
    backdrop(b, 80, 0.5)
