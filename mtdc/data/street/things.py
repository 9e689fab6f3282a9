"""The things of a street, each made of several bodies: vehicles, people, plants, buildings, furniture."""

from __future__ import annotations

import math

from .builder import (
    BICYCLE,
    BUILDING,
    BUS,
    CAR,
    FENCE,
    LIGHT,
    PERSON,
    POLE,
    RIDER,
    SIGN,
    TRUCK,
    VEGETATION,
    WALL,
    Builder,
    Color,
    Place,
)
from .primitives import Kind, Stencil
from .shading import Texture

_BLACK: Color = (0.05, 0.05, 0.05)
_GLASS: Color = (0.25, 0.28, 0.32)
_STEEL: Color = (0.55, 0.56, 0.58)
_PAINTS: tuple[Color, ...] = (
    (0.75, 0.76, 0.78), (0.9, 0.9, 0.9), (0.06, 0.06, 0.07), (0.3, 0.31, 0.33), (0.12, 0.18, 0.4), (0.55, 0.08, 0.08),
    (0.2, 0.22, 0.24), (0.5, 0.52, 0.5), (0.1, 0.25, 0.18), (0.65, 0.6, 0.5),
)  # fmt: skip


def _wheels(
    b: Builder, place: Place, half_width: float, along: tuple[float, ...], radius: float, label: int, thick: float = 0.13
) -> None:
    for y in along:
        for side in (-1, 1):
            b.add(place, Kind.BALL, (side * (half_width - thick * 0.7), y, radius), (thick, radius, radius), _BLACK, label)
            b.add(
                place, Kind.BALL, (side * (half_width - 0.01), y, radius), (0.07, radius * 0.55, radius * 0.55), _STEEL, label
            )


def car(b: Builder, place: Place) -> None:
    """A saloon, estate or hatchback: body, bonnet, cabin of glass with a roof and pillars, wheels, lamps."""
    length, width, height = b.uniform(3.6, 4.9), b.uniform(1.62, 1.86), b.uniform(1.4, 1.62)
    paint, estate = b.choose(_PAINTS), b.chance(0.4)
    belt, clearance = height * 0.6, b.uniform(0.17, 0.24)
    half = width / 2
    middle = (belt + clearance) / 2
    b.add(place, Kind.WEDGE, (0, 0, middle), (half, length / 2, (belt - clearance) / 2), paint, CAR, Texture.PAINT,
          taper=(0.08, 0.08, 0.07))  # fmt: skip
    back = -length * (0.46 if estate else 0.36)
    front = length * b.uniform(0.17, 0.24)
    centre, reach = (front + back) / 2, (front - back) / 2
    # Wedges are drawn in along x and both y: lengthways is x here, so the cabin is turned a quarter.
    slant = (b.uniform(0.55, 0.75), b.uniform(0.12, 0.3) if estate else b.uniform(0.45, 0.65), 0.3)
    upper = (height - belt) / 2
    b.add(place, Kind.WEDGE, (0, centre, belt + upper), (reach, half - 0.06, upper), _GLASS, CAR, Texture.GLASS,
          turn=math.pi / 2, taper=slant, glass=True)  # fmt: skip
    roof_half = reach * (1 - (slant[0] + slant[1]) / 2)
    shift = reach * (slant[1] - slant[0]) / 2
    b.add(place, Kind.BOX, (0, centre + shift, height), (half * 0.72, roof_half, 0.03), paint, CAR, Texture.PAINT)
    # The middle pillars: a slice through the cabin, a little wider than its glass.
    b.add(place, Kind.WEDGE, (0, centre + shift, belt + upper), (0.05, half - 0.05, upper), paint, CAR, turn=math.pi / 2,
          taper=(0.0, 0.0, slant[2]))  # fmt: skip
    for side in (-1, 1):
        b.add(place, Kind.BALL, (side * (half + 0.08), front - 0.25, belt + 0.08), (0.1, 0.06, 0.08), paint, CAR)
        b.add(place, Kind.BOX, (side * half * 0.72, -length / 2, belt * 0.85), (0.16, 0.03, 0.08), (0.5, 0.05, 0.05), CAR)
        b.add(place, Kind.BOX, (side * half * 0.72, length / 2, belt * 0.78), (0.16, 0.03, 0.07), (0.9, 0.9, 0.85), CAR)
    b.add(place, Kind.BOX, (0, -length / 2 - 0.01, belt * 0.6), (0.26, 0.02, 0.06), (0.9, 0.9, 0.8), CAR)
    _wheels(b, place, half, (length * 0.31, -length * 0.3), b.uniform(0.29, 0.34), CAR)


def van(b: Builder, place: Place) -> None:
    """A van or minibus: a high body, slanted front with glass, side windows on some."""
    length, width, height = b.uniform(4.6, 5.9), b.uniform(1.85, 2.05), b.uniform(1.9, 2.5)
    paint, half = b.choose(_PAINTS), width / 2
    nose = length * 0.17
    b.add(place, Kind.WEDGE, (0, -nose / 2, height / 2 + 0.14), (half, length / 2 - nose / 2, height / 2 - 0.14), paint, CAR,
          Texture.PAINT, taper=(0.0, 0.0, 0.1) if b.chance(0.5) else (0.08, 0.08, 0.04))  # fmt: skip
    b.add(place, Kind.BOX, (0, length / 2 - nose, 0.65), (half - 0.03, nose, 0.45), paint, CAR, Texture.PAINT)
    b.add(place, Kind.WEDGE, (0, length / 2 - nose * 1.1, 1.1 + height * 0.17), (nose, half - 0.08, height * 0.17), _GLASS, CAR,
          Texture.GLASS, turn=math.pi / 2, taper=(0.9, 0.0, 0.15), glass=True)  # fmt: skip
    b.add(
        place,
        Kind.BOX,
        (0, -length / 2 - 0.01, height * 0.72),
        (half * 0.75, 0.03, height * 0.14),
        _GLASS,
        CAR,
        Texture.GLASS,
        glass=True,
    )
    if b.chance(0.5):
        b.add(place, Kind.BOX, (0, -nose, height * 0.72), (half + 0.01, length * 0.3, height * 0.12), _GLASS, CAR,
              Texture.GLASS, glass=True)  # fmt: skip
    _wheels(b, place, half, (length * 0.32, -length * 0.3), 0.34, CAR)


def truck(b: Builder, place: Place, bus: bool = False) -> None:
    """A lorry with a cabin and a box, or a bus with a band of windows."""
    length, width, height = b.uniform(6.5, 11), b.uniform(2.3, 2.55), b.uniform(2.9, 3.7)
    half, label = width / 2, BUS if bus else TRUCK
    paint = b.choose(_PAINTS)
    if bus:
        b.add(place, Kind.BOX, (0, 0, height / 2 + 0.15), (half, length / 2, height / 2 - 0.15), paint, label, Texture.PAINT)
        b.add(place, Kind.BOX, (0, 0, height * 0.62), (half + 0.01, length / 2 + 0.01, height * 0.17), _GLASS, label,
              Texture.GLASS, glass=True)  # fmt: skip
    else:
        cabin = 1.9
        b.add(place, Kind.BOX, (0, -cabin / 2, (height + 1.0) / 2), (half, length / 2 - cabin / 2 - 0.1, (height - 1.0) / 2),
              b.shade(0.5, 0.9), label, Texture.STRIPES)  # fmt: skip
        b.add(place, Kind.BOX, (0, -0.3, 0.78), (half * 0.8, length / 2 - 0.4, 0.22), _BLACK, label)
        front = length / 2 - cabin / 2
        b.add(place, Kind.WEDGE, (0, front, 1.5), (cabin / 2, half - 0.03, 1.1), paint, label, Texture.PAINT, turn=math.pi / 2,
              taper=(0.2, 0.0, 0.06))  # fmt: skip
        b.add(place, Kind.BOX, (0, front + 0.75, 2.0), (half * 0.85, 0.12, 0.35), _GLASS, label, Texture.GLASS, glass=True)
        b.add(place, Kind.BOX, (0, -length / 2, 0.55), (half * 0.9, 0.05, 0.08), _STEEL, label)
    _wheels(b, place, half, (length * 0.36, -length * 0.3, -length * 0.3 + 1.2), 0.5, label, 0.3)


def vehicle(b: Builder, place: Place, big: float = 0.08) -> None:
    """A car most often, sometimes a van, with the probability ``big`` a lorry or bus."""
    draw = b.uniform(0, 1)
    if draw < big:
        truck(b, place, bus=b.chance(0.3))
    elif draw < big + 0.14:
        van(b, place)
    else:
        car(b, place)


def person(b: Builder, place: Place, seat: float = 0.0, label: int = PERSON) -> None:
    """Legs, trunk, arms, head; ``seat`` metres higher and with bent legs for riders."""
    height = b.uniform(1.55, 1.9)
    leg, stride = height * 0.46, b.uniform(0.02, 0.22)
    cloth, trousers = b.shade(0.08, 0.8, 0.15), b.shade(0.05, 0.4, 0.08)
    if not seat:
        for side in (-1, 1):
            b.add(place, Kind.CYLINDER, (side * 0.1, side * stride, leg / 2), (0.085, 0.085, leg / 2), trousers, label)
    else:
        for side in (-1, 1):
            b.add(place, Kind.BALL, (side * 0.12, 0.18, seat - 0.2), (0.08, 0.22, 0.3), trousers, label)
        leg = seat
    b.add(place, Kind.BALL, (0, 0, leg + height * 0.16), (0.23, 0.15, height * 0.21), cloth, label)
    for side in (-1, 1):
        b.add(place, Kind.BALL, (side * 0.25, 0.05 * side, leg + height * 0.14), (0.07, 0.09, height * 0.17), cloth, label)
    b.add(place, Kind.BALL, (0, 0, leg + height * 0.45), (0.1, 0.11, 0.13), (0.6, 0.45, 0.36), label)


def cyclist(b: Builder, place: Place) -> None:
    """A rider on a bicycle."""
    bicycle(b, place)
    person(b, place, seat=0.95, label=RIDER)


def bicycle(b: Builder, place: Place) -> None:
    """Two thin wheels with gaps, a frame, a handlebar."""
    paint = b.shade(0.1, 0.6, 0.2)
    for y in (-0.5, 0.5):
        b.add(place, Kind.BALL, (0, y, 0.34), (0.025, 0.34, 0.34), _BLACK, BICYCLE, stencil=(Stencil.HASH, 0.12, 0.4, 0, 0))
    b.add(place, Kind.BOX, (0, 0, 0.6), (0.025, 0.42, 0.03), paint, BICYCLE)
    b.add(place, Kind.BOX, (0, -0.1, 0.5), (0.02, 0.03, 0.35), paint, BICYCLE)
    b.add(place, Kind.BOX, (0, 0.42, 0.98), (0.27, 0.03, 0.03), _BLACK, BICYCLE)


def tree(b: Builder, place: Place, height: float | None = None) -> None:
    """A trunk with boughs and a crown of porous clumps, each of nested shells of leaves."""
    height = b.uniform(4.5, 11) if height is None else height
    trunk = height * b.uniform(0.25, 0.42)
    thick = b.uniform(0.1, 0.15) + 0.012 * height
    bark = b.shade(0.18, 0.35, 0.03)
    b.add(
        place,
        Kind.CYLINDER,
        (0, 0, height * 0.3 - 0.2),
        (thick, thick, height * 0.3 + 0.2),
        bark,
        VEGETATION,
        taper=(0.5, 0, 0),
    )
    green = (b.uniform(0.16, 0.32), b.uniform(0.28, 0.45), b.uniform(0.08, 0.16))
    spread = height * b.uniform(0.2, 0.32)
    for _ in range(int(b.uniform(3, 6))):
        size = spread * b.uniform(0.55, 0.9)
        offset = (
            b.uniform(-0.55, 0.55) * spread,
            b.uniform(-0.55, 0.55) * spread,
            b.uniform(trunk + size * 0.5, height - size * 0.6),
        )
        clump(b, place, offset, (size, size * b.uniform(0.8, 1.2), size * b.uniform(0.65, 0.95)), green, shells=2)


def clump(
    b: Builder,
    place: Place,
    offset: tuple[float, float, float],
    half: tuple[float, float, float],
    green: Color,
    shells: int = 2,
) -> None:
    """Leaves: nested porous balls."""
    for shell in range(shells):
        scale = 1 - shell / (shells + 0.6)
        cell = b.uniform(0.12, 0.26) * (0.6 + 0.4 * min(half))
        b.add(place, Kind.BALL, offset, (half[0] * scale, half[1] * scale, half[2] * scale), green, VEGETATION, Texture.LEAVES,
              stencil=(Stencil.HASH, cell, b.uniform(0.76, 0.88) + 0.08 * shell, 0, 0))  # fmt: skip


def bush(b: Builder, place: Place, size: float | None = None) -> None:
    """One or two porous clumps on the ground."""
    size = b.uniform(0.35, 1.1) if size is None else size
    green = (b.uniform(0.15, 0.35), b.uniform(0.26, 0.45), b.uniform(0.08, 0.18))
    for _ in range(1 if size < 0.5 else 2):
        offset = (b.uniform(-0.5, 0.5) * size, b.uniform(-0.5, 0.5) * size, size * 0.6)
        clump(
            b,
            place,
            offset,
            (size * b.uniform(0.7, 1.1), size * b.uniform(0.7, 1.1), size * b.uniform(0.6, 0.9)),
            green,
            shells=2,
        )


def tuft(b: Builder, place: Place, height: float) -> None:
    """Grass or a mound of earth: a ball sunk in the ground, so that verges are rough."""
    green = (b.uniform(0.25, 0.42), b.uniform(0.32, 0.46), b.uniform(0.12, 0.2))
    wide = b.uniform(0.3, 1.1)
    b.add(place, Kind.BALL, (0, 0, -0.05), (wide, wide * b.uniform(0.7, 1.6), height + 0.05), green, 9, Texture.LEAVES)


def hedge(b: Builder, place: Place, length: float, height: float, depth: float) -> None:
    """A clipped hedge along the place's forward axis: nested porous boxes."""
    green = (b.uniform(0.14, 0.28), b.uniform(0.25, 0.4), b.uniform(0.07, 0.14))
    for shell, fill in ((0.0, 0.84), (0.12, 0.95)):
        half = (depth / 2 - shell, length / 2 - shell, height / 2 + 0.1 - shell / 2)
        b.add(place, Kind.BOX, (0, 0, height / 2 - 0.1 - shell / 2), half, green, VEGETATION, Texture.LEAVES,
              stencil=(Stencil.HASH, b.uniform(0.1, 0.2), fill, 0, 0))  # fmt: skip


def fence(b: Builder, place: Place, length: float) -> None:
    """A fence along the place's forward axis: slats, mesh or bars with posts, or a wall."""
    kind, height = b.uniform(0, 1), b.uniform(0.8, 1.8)
    paint = b.shade(0.25, 0.8)
    if kind < 0.3:
        height = b.uniform(0.5, 2.0)
        texture = b.choose((Texture.BRICKS, Texture.PLASTER))
        b.add(place, Kind.BOX, (0, 0, height / 2 - 0.2), (0.13, length / 2, height / 2 + 0.2), paint, WALL, texture)
        b.add(place, Kind.BOX, (0, 0, height + 0.03), (0.18, length / 2, 0.03), b.shade(0.4, 0.7), WALL)
        return
    open_part = b.choose((0.35, 0.5, 0.85, 0.9))
    period = b.uniform(0.09, 0.16)
    across = 0.9 if open_part > 0.8 else 1.0
    b.add(place, Kind.BOX, (0, 0, height / 2), (0.012, length / 2, height / 2), paint, FENCE, Texture.STRIPES,
          stencil=(Stencil.GRID, period, period if across < 1 else 9.0, open_part, across))  # fmt: skip
    for at in (0.15, height - 0.1):
        b.add(place, Kind.BOX, (0, 0, at), (0.025, length / 2, 0.03), paint, FENCE)
    posts = max(2, int(length / 2.5))
    for i in range(posts + 1):
        b.add(place, Kind.BOX, (0, (i / posts - 0.5) * length, height / 2), (0.04, 0.04, height / 2 + 0.05), paint, FENCE)


def building(b: Builder, place: Place, width: float, depth: float, height: float, gable: bool = False) -> None:
    """A house whose front (the place's left) stands on the place: a pierced shell, recessed panes, door, plinth, roof.

    ``width`` runs along the place's forward axis, ``depth`` away to its right.
    """
    paint = b.choose((b.shade(0.5, 0.85), b.shade(0.35, 0.6), (b.uniform(0.45, 0.6), 0.3, 0.22)))
    texture = b.choose((Texture.BRICKS, Texture.PLASTER, Texture.PLASTER))
    sink, recess = 0.5, b.uniform(0.1, 0.28)
    middle = (depth / 2, 0, (height - sink) / 2)
    period, storey = b.uniform(1.9, 3.4), b.uniform(2.7, 3.3)
    grid = (Stencil.GRID, period, storey, b.uniform(0.3, 0.48), b.uniform(0.35, 0.52))
    half = (depth / 2, width / 2, (height + sink) / 2)
    b.add(place, Kind.BOX, middle, half, paint, BUILDING, texture, stencil=grid)
    b.add(place, Kind.BOX, middle, (half[0] - recess, half[1] - recess, half[2]), _GLASS, BUILDING, Texture.GLASS, glass=True)
    # A second wall behind the panes: what passes the glass ends in the room.
    b.add(place, Kind.BOX, middle, (max(half[0] - 3, 0.3), max(half[1] - 1, 0.3), half[2]), b.shade(0.1, 0.3), BUILDING)
    b.add(place, Kind.BOX, (-0.02, 0, 0.2), (0.06, width / 2 + 0.02, 0.5), b.shade(0.3, 0.5), BUILDING)
    door = b.uniform(-0.35, 0.35) * width
    b.add(place, Kind.BOX, (-0.01, door, 1.05), (0.05, 0.5, 1.05), b.shade(0.1, 0.6, 0.15), BUILDING, Texture.STRIPES)
    if b.chance(0.5):
        b.add(place, Kind.BOX, (-0.4, door, 0.1), (0.4, 0.9, 0.14), b.shade(0.4, 0.6), BUILDING)
    if b.chance(0.35):
        for at in range(1, int(height / storey)):
            b.add(
                place, Kind.BOX, (-0.5, b.uniform(-0.2, 0.2) * width, at * storey), (0.5, period * 0.6, 0.08), paint, BUILDING
            )
    b.add(place, Kind.CYLINDER, (-0.08, width / 2 - 0.15, height / 2), (0.05, 0.05, height / 2), _STEEL, BUILDING)
    tiles = (b.uniform(0.3, 0.5), b.uniform(0.18, 0.28), b.uniform(0.14, 0.24))
    if gable:
        top = b.uniform(0.25, 0.45) * depth
        b.add(place, Kind.WEDGE, (depth / 2, 0, height + top / 2), (width / 2 + 0.3, depth / 2 + 0.4, top / 2), tiles, BUILDING,
              Texture.STRIPES, turn=math.pi / 2, taper=(0.0, 0.0, 0.98))  # fmt: skip
    else:
        b.add(
            place,
            Kind.BOX,
            (depth / 2, 0, height + 0.1),
            (depth / 2 + 0.25, width / 2 + 0.1, 0.15),
            b.shade(0.3, 0.6),
            BUILDING,
        )


def pole(b: Builder, place: Place, arm: float = 0.0, height: float | None = None) -> None:
    """A lamp post; ``arm`` metres towards the place's right, with the lamp at its end."""
    height = b.uniform(4.5, 9) if height is None else height
    radius = b.uniform(0.06, 0.11)
    paint = b.shade(0.25, 0.6)
    b.add(place, Kind.CYLINDER, (0, 0, height / 2), (radius, radius, height / 2), paint, POLE, taper=(0.4, 0, 0))
    b.add(place, Kind.CYLINDER, (0, 0, 0.3), (radius * 1.6, radius * 1.6, 0.5), paint, POLE)
    if arm:
        b.add(place, Kind.BOX, (arm / 2, 0, height), (abs(arm) / 2, 0.04, 0.04), paint, POLE)
        b.add(place, Kind.BALL, (arm, 0, height - 0.05), (0.35, 0.15, 0.1), (0.8, 0.8, 0.75), POLE)


def sign(b: Builder, place: Place) -> None:
    """One or two traffic signs on a thin post."""
    height = b.uniform(1.9, 2.6)
    b.add(place, Kind.CYLINDER, (0, 0, height / 2 + 0.3), (0.035, 0.035, height / 2 + 0.3), _STEEL, POLE)
    color = b.choose(((0.75, 0.1, 0.1), (0.1, 0.2, 0.65), (0.9, 0.85, 0.2), (0.9, 0.9, 0.9)))
    for at in range(1 if b.chance(0.7) else 2):
        if b.chance(0.5):
            b.add(place, Kind.BALL, (0, -0.05, height - 0.65 * at + 0.3), (0.32, 0.02, 0.32), color, SIGN)
        else:
            b.add(place, Kind.BOX, (0, -0.05, height - 0.65 * at + 0.3), (0.3, 0.015, 0.28), color, SIGN)


def traffic_light(b: Builder, place: Place) -> None:
    """A signal on a post."""
    b.add(place, Kind.CYLINDER, (0, 0, 1.6), (0.06, 0.06, 1.6), b.shade(0.2, 0.4), POLE)
    b.add(place, Kind.BOX, (0, -0.1, 2.9), (0.17, 0.14, 0.45), _BLACK, LIGHT)
    for at, color in ((0.28, (0.8, 0.1, 0.1)), (0.0, (0.5, 0.4, 0.1)), (-0.28, (0.1, 0.5, 0.2))):
        b.add(place, Kind.BALL, (0, -0.24, 2.9 + at), (0.1, 0.03, 0.1), color, LIGHT)  # type: ignore[arg-type]


def bin_or_box(b: Builder, place: Place) -> None:
    """A dustbin, a switch box, a letter box or a bollard."""
    kind = b.uniform(0, 1)
    if kind < 0.4:
        b.add(place, Kind.WEDGE, (0, 0, 0.52), (0.28, 0.33, 0.52), b.shade(0.08, 0.4, 0.1), 255, taper=(0, 0, 0))
    elif kind < 0.7:
        half = (b.uniform(0.2, 0.6), b.uniform(0.2, 0.4), b.uniform(0.4, 0.75))
        b.add(place, Kind.BOX, (0, 0, half[2]), half, b.shade(0.4, 0.7), 255)
    else:
        b.add(place, Kind.CYLINDER, (0, 0, 0.45), (0.07, 0.07, 0.5), b.shade(0.2, 0.8), POLE)


def rail(b: Builder, place: Place, length: float) -> None:
    """A guard rail along the place's forward axis."""
    b.add(place, Kind.BOX, (0, 0, 0.6), (0.04, length / 2, 0.15), _STEEL, FENCE, Texture.STRIPES)
    for i in range(int(length / 4) + 1):
        b.add(place, Kind.BOX, (0.06, -length / 2 + 4 * i, 0.35), (0.05, 0.05, 0.42), _STEEL, FENCE)
