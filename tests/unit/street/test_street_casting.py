"""Rays against bodies and ground: closed forms, brute force, and windows that lose no ray."""

import math

import numpy as np
import pytest
import torch
from street_support import K, one_body

from mtdc.data.street.builder import Builder
from mtdc.data.street.caster import GROUND, SKY, cast, surface_normals
from mtdc.data.street.ground import KERB, ROAD, SIDE, Ground
from mtdc.data.street.primitives import Kind, Stencil, meet_ball, meet_box, meet_cylinder, meet_wedge
from mtdc.data.street.rays import CameraGrid, ScanGrid, ScanPattern, SunGrid, rotation


def column(*values):
    return torch.tensor(values, dtype=torch.float32)[:, None]


def camera(yaw=0.0, pitch=0.0, roll=0.0, position=(0.0, 0.0, 1.6), size=(45, 79)):
    return CameraGrid(K, *size, rotation(yaw, pitch, roll), torch.tensor(position))


def lidar(position=(0.0, -0.3, 1.8), drift=None):
    elevations = torch.deg2rad(torch.linspace(4, -22, 33, dtype=torch.float64))
    heights = torch.linspace(0.21, 0.1, 33, dtype=torch.float64)
    phases = torch.linspace(0, 1, 33, dtype=torch.float64)
    jitter = torch.linspace(-1, 1, 33 * 138).reshape(33, 138)
    pattern = ScanPattern(elevations, heights, phases, math.radians(0.7), math.radians(48), jitter)
    return ScanGrid(pattern, rotation(0.02, 0.01, -0.01), torch.tensor(position), drift)


def random_bodies(count=60, seed=0, ground=None):
    """Bodies of all kinds before the camera, some with leaves, some across its plane."""
    b = Builder(ground or Ground(), np.random.default_rng(seed))
    for _ in range(count):
        kind = b.choose(list(Kind))
        stencil = (Stencil.HASH, b.uniform(0.1, 0.6), 0.6, 0, 0) if b.chance(0.4) else (Stencil.SOLID, 0, 0, 0, 0)
        taper = (b.uniform(0, 0.8), b.uniform(0, 0.8), b.uniform(0, 0.8)) if kind in (Kind.WEDGE, Kind.CYLINDER) else (0, 0, 0)
        half = (b.uniform(0.05, 3), b.uniform(0.05, 3), b.uniform(0.05, 2))
        half = (half[0], half[0], half[2]) if kind == Kind.CYLINDER else half
        place = b.place(b.uniform(-6, 40), b.uniform(-15, 15), b.uniform(-3, 3))
        b.add(place, kind, (0, 0, b.uniform(-0.5, 4)), half, (0.5, 0.5, 0.5), 2, taper=taper, stencil=stencil)
    return b.build()[0]


def aimed(origin, points):
    """Rays from one place to points, which they reach at 1."""

    class Aimed:
        height, width = 1, points.shape[1]
        origins, directions = origin[:, None, None], (points - origin[:, None])[:, None]

        def windows(self, corners, scene):
            return torch.tensor([[0, 1, 0, points.shape[1]]]).repeat(len(corners), 1)

        def nearest(self, corners, scene):
            return torch.zeros(len(corners))

    return Aimed()


def test_box_ball_cylinder_and_wedge_against_closed_forms():
    none = column(0.0, 0.0, 0.0)
    origin, direction = column(-3.0, 0.5, 0.0), column(2.0, 0.0, 0.0)
    assert [float(t) for t in meet_box(origin, direction, none)] == pytest.approx([1.0, 2.0])
    half_chord = math.sqrt(1 - 0.25)
    expected = [(3 - half_chord) / 2, (3 + half_chord) / 2]
    assert [float(t) for t in meet_ball(origin, direction, none)] == pytest.approx(expected)
    assert [float(t) for t in meet_cylinder(origin, direction, none)] == pytest.approx(expected)
    # A cone with radius 1 below and 0 above has radius .5 at z = 0, and .75 at z = -.5.
    cone = column(1.0, 0.0, 0.0)
    low = column(-3.0, 0.0, -0.5)
    assert [float(t) for t in meet_cylinder(low, direction, cone)] == pytest.approx([(3 - 0.75) / 2, (3 + 0.75) / 2])
    # Straight down a cylinder: the caps.
    assert [float(t) for t in meet_cylinder(column(0.3, 0.2, 5.0), column(0.0, 0.01, -1.0), none)] == pytest.approx([4.0, 6.0])
    # A wedge whose +x end is drawn in by half: at z = 0 its front stands at x = .75.
    wedge = column(0.5, 0.0, 0.0)
    enter, leave = meet_wedge(column(3.0, 0.0, 0.0), column(-1.0, 0.0, 0.0), wedge)
    assert (float(enter), float(leave)) == pytest.approx((2.25, 4.0))
    enter, leave = meet_box(column(-3.0, 1.5, 0.0), direction, none)
    assert enter > leave


@pytest.mark.parametrize("grid", ["camera", "turned camera", "lidar", "moving lidar", "sun"])
@pytest.mark.parametrize("seed", [0, 1])
def test_windows_and_hidden_bodies_lose_no_ray(grid, seed):
    """The same nearest bodies as when every ray is tried with every body, one body at a time, without windows."""
    bodies = random_bodies(seed=seed)
    rays = {
        "camera": camera,
        "turned camera": lambda: camera(0.3, 0.2, -0.1),
        "lidar": lidar,
        "moving lidar": lambda: lidar(drift=torch.tensor([0.0, 20.0, 0.0])),
        "sun": lambda: SunGrid(
            torch.tensor([0.5, 0.3, 0.8]) / 0.98995, torch.tensor([0.0, 10, 0]), (30.0, [30.0]), 41, 53, "cpu"
        ),
    }[grid]()
    found = cast(bodies, None, rays)

    class Everywhere:
        """The same rays whose windows are always the whole grid and whose bodies are never hidden."""

        height, width, origins, directions = rays.height, rays.width, rays.origins, rays.directions

        def windows(self, corners, scene):
            return torch.tensor([[0, rays.height, 0, rays.width]]).repeat(len(corners), 1)

        def nearest(self, corners, scene):
            return torch.zeros(len(corners))

    expected = cast(bodies, None, Everywhere())
    assert (expected.body >= 0).float().mean() > 0.1
    assert torch.equal(found.body, expected.body)
    assert torch.equal(found.t, expected.t)


def test_a_wall_across_has_the_depth_it_stands_at_in_every_pixel():
    wall = one_body(Kind.BOX, (0, 12.5, 0), (100, 0.5, 100))
    hits = cast(wall, None, camera())
    assert hits.t.min() == pytest.approx(12.0, abs=1e-4) and hits.t.max() == pytest.approx(12.0, abs=1e-4)
    assert (hits.body == 0).all()
    grid = camera()
    normal = surface_normals(wall, Ground(), hits, grid.directions)
    torch.testing.assert_close(normal, torch.tensor([0.0, -1.0, 0.0])[:, None, None].expand_as(normal))


def test_normals_are_unit_face_the_ray_and_agree_with_differences_of_depth():
    bodies = random_bodies(seed=3)
    bodies.stencil[0] = Stencil.SOLID
    grid = camera(size=(200, 300))
    grid = CameraGrid(torch.tensor([[230.0, 0, 150], [0, 230.0, 90], [0, 0, 1]]), 200, 300, grid.poses, grid.positions)
    ground = Ground(slope=0.01, half_width=3.0, kerb=0.12)
    hits = cast(bodies, ground, grid)
    normal = surface_normals(bodies, ground, hits, grid.directions)
    met = torch.isfinite(hits.t)
    torch.testing.assert_close(normal[:, met].norm(dim=0), torch.ones(int(met.sum())), atol=1e-4, rtol=0)
    assert ((normal * grid.directions).sum(0)[met] <= 1e-6).all()
    assert (normal[:, ~met] == 0).all()
    points = hits.points.reshape(3, 200, 300).double()
    body = hits.body.reshape(200, 300)
    same = (body[1:-1, 1:-1] == body[:-2, 1:-1]) & (body[1:-1, 1:-1] == body[2:, 1:-1])
    same &= (body[1:-1, 1:-1] == body[1:-1, :-2]) & (body[1:-1, 1:-1] == body[1:-1, 2:]) & (body[1:-1, 1:-1] != SKY)
    across = points[:, 1:-1, 2:] - points[:, 1:-1, :-2]
    down = points[:, 2:, 1:-1] - points[:, :-2, 1:-1]
    measured = torch.linalg.cross(across, down, dim=0)
    measured = measured / measured.norm(dim=0).clamp(min=1e-12)
    agreement = (measured * normal.reshape(3, 200, 300)[:, 1:-1, 1:-1].double()).sum(0).abs()[same]
    # Edges of one body and the kerb are steps that differences can't see; nearly all of the rest must agree.
    assert agreement.median() > 0.9999 and (agreement > 0.98).double().mean() > 0.9


def test_ground_plane_crown_and_hill_against_closed_forms():
    directions = torch.tensor([[0.1, 0.0, -0.3], [1.0, 1.0, 1.0], [-0.2, -0.05, -0.5]])
    origins = column(0.0, 0.0, 1.65)
    t, what = Ground().meet(origins, directions)
    torch.testing.assert_close(t, 1.65 / -directions[2])
    assert (what == ROAD).all()
    t, _ = Ground(slope=0.02).meet(origins, directions)
    torch.testing.assert_close(t, 1.65 / (0.02 - directions[2]))
    bend = -1e-3
    t, _ = Ground(bend=bend).meet(origins, directions)
    a, b, c = bend / 2, -directions[2], -1.65
    # The second ray passes over the hill's top: no root.
    assert torch.isinf(t[1]) and (b * b - 4 * a * c)[1] < 0
    expected = (-b + (b * b - 4 * a * c).sqrt()) / (2 * a)
    torch.testing.assert_close(t[[0, 2]], expected[[0, 2]], atol=2e-3, rtol=2e-4)
    ground = Ground(crown=0.004, half_width=4.0, tilt=0.1, tilt_from=6.0, wave=0.1, axis=(-1.0, 0.02, 0.001))
    grid = camera(pitch=0.1)
    hits = cast(random_bodies(0), ground, grid)
    on = hits.body == GROUND
    x, y, z = hits.points[:, on]
    assert on.float().mean() > 0.4
    assert (z - ground.height(x, y)).abs().max() < 0.02
    level = torch.tensor([[0.0], [1.0], [0.001]])
    assert torch.isinf(Ground().meet(origins, level)[0]).all()


@pytest.mark.parametrize("bow", [0.0, 0.01])
def test_kerbs_have_a_face_and_no_ray_falls_through(bow):
    ground = Ground(axis=(0.0, 0.01, bow), half_width=3.0, kerb=0.15, crossing=(20.0, 3.0))
    grid = camera(pitch=0.15, size=(90, 79))
    t, what = ground.meet(grid.origins, grid.directions)
    points = grid.origins + t * grid.directions
    low = grid.directions[2] / grid.directions[:2].norm(dim=0) < -0.03
    assert torch.isfinite(t[low]).all(), "a ray that looks down fell through the ground"
    x, y, z = points
    assert (z[what == ROAD]).abs().max() < 1e-2 and (z[what == SIDE] - 0.15).abs().max() < 1e-2
    face = what == KERB
    assert face.sum() > 10
    assert ((z[face] >= -1e-3) & (z[face] <= 0.151)).all()
    edge = ((x - ground.axis_at(y)).abs() - 3).abs()
    across = ((y - 20).abs() - 3).abs()
    assert torch.minimum(edge, across)[face].max() < 0.01
    # By hand, on the straight road: the ray to (3, 10, 0.1) from (0, 0, 1.6).
    straight = Ground(half_width=3.0, kerb=0.15)
    t, what = straight.meet(column(0.0, 0.0, 1.6), column(3.0, 10.0, -1.5))
    assert what.item() == KERB and t.item() == pytest.approx(1.0, abs=1e-5)


def test_leaves_let_the_same_part_through_for_every_viewer():
    ball = one_body(Kind.BALL, (0, 10, 2), (2, 2, 2), stencil=(Stencil.HASH, 0.25, 0.6, 0, 0))
    solid = one_body(Kind.BALL, (0, 10, 2), (2, 2, 2))
    grid = camera(size=(45, 79))
    through, all_rays = cast(ball, None, grid), cast(solid, None, grid)
    inside = all_rays.body == 0
    part = float((through.body[inside] == 0).float().mean())
    # The front lets 40 % through, and the back stops 60 % of these.
    assert 0.75 < part < 0.92
    assert (through.body[~inside] == SKY).all()
    # From another place, the points seen on the front are still leaves: their cells are solid.
    front = (through.t == all_rays.t) & inside
    seen = cast(ball, None, aimed(torch.tensor([0.4, 0.5, 1.9]), through.points[:, front]))
    assert front.sum() > 200 and (seen.t > 0.999).float().mean() > 0.97 and ((seen.t - 1).abs() < 1e-3).float().mean() > 0.95


def test_windows_of_a_front_are_where_the_grid_says():
    shell = (Stencil.GRID, 3.0, 3.0, 0.5, 0.4)
    front = one_body(Kind.BOX, (0, 15, 6), (9, 1, 6), stencil=shell)
    back = one_body(Kind.BOX, (0, 15, 6), (8.8, 0.8, 6))
    grid = camera(pitch=-0.2)
    hits = cast(front, None, grid)
    on_front = (hits.t - cast(one_body(Kind.BOX, (0, 15, 6), (9, 1, 6)), None, grid).t).abs() < 1e-4
    x, _, z = hits.points[:, on_front]
    in_pane = ((x / 3 - torch.floor(x / 3) - 0.5).abs() < 0.249) & ((z / 3 - torch.floor(z / 3) - 0.5).abs() < 0.199)
    assert on_front.sum() > 100 and not in_pane.any()
    assert (cast(back, None, grid).body == 0).any()


def test_the_same_scene_casts_to_the_bit_and_moves_with_time():
    bodies = random_bodies(seed=5)
    first, second = cast(bodies, Ground(), camera()), cast(bodies, Ground(), camera())
    assert torch.equal(first.t, second.t) and torch.equal(first.body, second.body)
    bodies.velocity[1] = 10.0
    moved = bodies.at(0.5)
    torch.testing.assert_close(moved.centre - bodies.centre, torch.tensor([0.0, 5.0, 0.0])[:, None].expand(3, len(bodies)))
