"""Frames of the street world: the LiDAR against hand-computed geometry, what the truth promises, and repetition to the bit."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from street_support import K, one_body

from mtdc.data.street import MAPS, LidarOptions, StreetOptions, draw_frame
from mtdc.data.street.ground import Ground
from mtdc.data.street.layouts import LAYOUTS, Scene, draw_scene
from mtdc.data.street.lidar import ScanJob, ScanPose, Turn, beams, mounted, scan, sparse_depth
from mtdc.data.street.primitives import Kind
from mtdc.data.street.rays import CameraGrid, rotation
from mtdc.data.street.shading import Light, Texture
from mtdc.data.street.truth import make_truth, nearest_agreeing, without_occluded
from mtdc.errors import ConfigError

SMALL = StreetOptions(size=(96, 320))
EXACT = LidarOptions(noise=0.0, ring_bias=0.0, mixed=0.0, lost=0.0, pitch=0.0, roll=0.0, encoder=0.0)
NO_BIAS = torch.zeros(64)


@pytest.fixture(scope="module")
def frames():
    return [draw_frame(SMALL, 3, number) for number in range(6)]


def generator():
    return torch.Generator().manual_seed(0)


def cast_scan(scene, camera, options, bias=NO_BIAS):
    """Points ``(3, N)`` of one scan of a standing car with that camera."""
    pose, position = mounted(camera.poses[0], camera.positions[0], options, torch.zeros(3))
    where = ScanPose(pose, position, torch.zeros(3, dtype=torch.float64))
    found = scan([ScanJob(scene, where, options, bias, Turn.draw(options, generator()))])
    return found.points[:, found.returned]


def one_map(points, camera):
    """The sparse map of one scan's points ``(3, N)``."""
    return sparse_depth(points[:, None, None], torch.ones(1, 1, points.shape[1], dtype=torch.bool), camera)[0, 0]


def straight_scan(body, options=EXACT, bias=NO_BIAS, ground=None):
    """Points of a scan of one body from a level camera at 1.65 m, and that camera (KITTI's focal length)."""
    camera = CameraGrid(
        torch.tensor([[721.5377, 0, 608.0], [0, 721.5377, 150.0], [0, 0, 1]], dtype=torch.float64), 352, 1216,
        rotation(0, 0, 0), torch.tensor([0.0, 0.0, 1.65]),
    )  # fmt: skip
    scene = Scene("test", ground or Ground(half_width=0.001, reach=0.1), body, Light(), 0.0)
    return cast_scan(scene, camera, options, bias), camera


def test_beams_stand_as_measured():
    angles, heights = beams(LidarOptions())
    degrees = torch.rad2deg(angles)
    assert len(angles) == 64 and (degrees[1:] < degrees[:-1]).all()
    assert degrees[0] == pytest.approx(1.94) and degrees[31] == pytest.approx(-8.71) and degrees[63] == pytest.approx(-24.91)
    assert (degrees[32] - degrees[45]) / 13 == pytest.approx(0.508, abs=1e-3)
    # 28 cm above the camera in the upper block, 18 to 20 in the lower.
    above = heights + LidarOptions().mount[1]
    assert above[:32].min() > 0.26 and above[:32].max() < 0.29 and above[32:].min() > 0.17 and above[32:].max() < 0.21
    other, zero = beams(LidarOptions(lines=16, field=(15.0, -15.0)))
    assert len(other) == 16 and torch.rad2deg(other)[0] == pytest.approx(15) and (zero == 0).all()


def test_a_scan_of_a_wall_has_the_rings_elevations_and_azimuth_steps():
    wall = one_body(Kind.BOX, (0, 20.5, 0), (100, 0.5, 100))
    result, _ = straight_scan(wall, LidarOptions(**{**EXACT.__dict__, "glass_lost": 0.0, "farthest": 200.0}))
    x, y, z = result.double()
    torch.testing.assert_close(y, torch.full_like(y, 20.0), atol=2e-4, rtol=0)
    angles, heights = beams(LidarOptions())
    level = torch.hypot(x - 0.058, y + 0.272)
    expected = (1.65 + 0.076 + heights)[:, None] + level * torch.tan(angles)[:, None]
    off, ring = (z - expected).abs().min(0)
    assert off.max() < 2e-3
    azimuth = torch.atan2(x - 0.058, y + 0.272)
    firsts = []
    for number in (0, 10, 40, 63):
        ordered = torch.rad2deg(azimuth[ring == number]).sort().values
        torch.testing.assert_close(ordered[1:] - ordered[:-1], torch.full_like(ordered[1:], 0.1676), atol=2e-3, rtol=0)
        firsts.append(float(ordered[0]) / 0.1676 % 1)
    assert np.ptp(firsts) > 0.1, "rings share their azimuths"


def test_rings_fire_on_grids_of_their_own():
    wall = one_body(Kind.BOX, (0, 20.5, 0), (100, 0.5, 100))
    options = LidarOptions(**{**EXACT.__dict__, "encoder": 0.09, "farthest": 200.0})
    result, _ = straight_scan(wall, options)
    x, y, z = result.double()
    angles, heights = beams(options)
    level = torch.hypot(x - 0.058, y + 0.272)
    ring = (z - (1.65 + 0.076 + heights)[:, None] - level * torch.tan(angles)[:, None]).abs().min(0).indices
    azimuth = torch.rad2deg(torch.atan2(x - 0.058, y + 0.272))
    places = []
    for number in range(0, 40, 4):
        turned = np.exp(2j * np.pi * azimuth[ring == number].numpy() / 0.09)
        assert abs(turned.mean()) > 0.95, "a ring's shots must lie on one grid of 0.09 degrees"
        steps = azimuth[ring == number].sort().values.diff()
        assert set(np.round(steps.numpy() / 0.09).astype(int)) == {1, 2} and steps.mean() == pytest.approx(0.1676, abs=1e-3)
        places.append(turned.mean() / abs(turned.mean()))
    assert abs(np.mean(places)) < 0.7, "the rings' grids line up"


def test_dark_gloss_sends_few_shots_back():
    def returned(color, texture, options=EXACT):
        body = one_body(Kind.BOX, (0, 10.5, 0), (100, 0.5, 100))
        body = replace(body, color=torch.tensor(color)[:, None], texture=torch.tensor([int(texture)]), seed=body.seed * 0)
        return straight_scan(body, options)[0].shape[1]

    pale, plain = returned((0.9, 0.9, 0.9), Texture.PAINT), returned((0.06, 0.06, 0.06), Texture.PLAIN)
    # Half the gloss (seed 0), 0.9 of it lost at black, and 1 - 0.06 / 0.32 of that at this paint.
    expected = 1 - 0.5 * 0.9 * (1 - 0.06 / 0.32)
    assert returned((0.06, 0.06, 0.06), Texture.PAINT) / pale == pytest.approx(expected, abs=0.02)
    assert returned((0.06, 0.06, 0.06), Texture.PAINT, LidarOptions(**{**EXACT.__dict__, "paint_lost": 0.0})) == plain


def test_a_point_behind_an_edge_is_seen_past_it_by_the_parallax_of_the_beams_height():
    """From 28 cm above the camera a wall 50 m off is seen over a 5 m near edge: 36 px lower in the image."""
    camera_height, near, far = 1.65, 5.0, 50.0
    ring_height = 1.65 + 0.076 + float(beams(LidarOptions())[1][0])
    edge = 1.5
    from mtdc.data.street.builder import Builder

    b = Builder(Ground(half_width=0.001, reach=0.1), np.random.default_rng(0))
    b.add(b.place(0, 0), Kind.BOX, (0, near + 0.05, edge / 2), (4, 0.05, edge / 2), (0.5, 0.5, 0.5), 2)
    b.add(b.place(0, 0), Kind.BOX, (0, far + 0.5, 0), (60, 0.5, 60), (0.9, 0.9, 0.9), 2)
    result, camera = straight_scan(b.build()[0])
    sparse = one_map(result, camera)[:, 590:626]
    rows = (sparse > 40).nonzero()[:, 0]
    # The lowest place on the far wall that a beam over the edge can reach, and the row that the camera sees it in.
    lowest = ring_height + (edge - ring_height) * (far + 0.272) / (near + 0.272)
    row = 150 + 721.5377 * (camera_height - lowest) / far
    edge_row = 150 + 721.5377 * (camera_height - edge) / near
    assert rows.max() <= row + 1.5 and rows.max() > row - 8
    assert rows.max() - edge_row > 20, "no see-through points"
    assert 721.5377 * 0.285 * (1 / near - 1 / far) == pytest.approx(36, abs=2)


def test_noise_bias_range_and_losses():
    wall = one_body(Kind.BOX, (0, 20.5, 0), (100, 0.5, 100))
    noisy = LidarOptions(**{**EXACT.__dict__, "noise": 0.02})
    result, _ = straight_scan(wall, noisy)
    middle = result[0].abs() < 3
    assert float(result[1][middle].std()) == pytest.approx(0.02 * 1.8, rel=0.12)
    biased, _ = straight_scan(wall, EXACT, bias=torch.full((64,), 0.5))
    assert float(biased[1][biased[0].abs() < 2].median()) == pytest.approx(20.5, abs=0.03)
    far, _ = straight_scan(one_body(Kind.BOX, (0, 90, 0), (300, 0.5, 100)))
    assert far.shape[1] == 0
    pane, _ = straight_scan(one_body(Kind.BOX, (0, 20.5, 0), (100, 0.5, 100), glass=True))
    assert pane.shape[1] / result.shape[1] == pytest.approx(0.12, abs=0.02)
    b_through, _ = straight_scan(one_body(Kind.BOX, (0, 20.5, 0), (100, 0.5, 100), glass=True),
                                 LidarOptions(**{**EXACT.__dict__, "glass_through": 1.0, "glass_lost": 0.0}))  # fmt: skip
    assert b_through.shape[1] == 0


def test_lost_road_is_rare_and_far_dark_things_are_lost_more():
    road = Ground()
    near, _ = straight_scan(one_body(Kind.BOX, (0, 3, -50), (1, 1, 1)), LidarOptions(), ground=road)
    shots = [(-math.tan(a) > 0.075) for a in beams(LidarOptions())[0]]
    width = int(2 * math.radians(48) / math.radians(0.1676)) + 1
    close = near[1].hypot(near[0]) < 24
    assert close.sum() > 0.985 * sum(shots) * width
    dark = one_body(Kind.BOX, (0, 60, 0), (100, 0.5, 100))
    pale = one_body(Kind.BOX, (0, 60, 0), (100, 0.5, 100))
    dark.color[:], pale.color[:] = 0.05, 0.9
    assert straight_scan(dark)[0].shape[1] < 0.9 * straight_scan(pale)[0].shape[1]


def test_the_nearest_point_of_a_pixel_is_kept():
    camera = CameraGrid(K, 45, 79, rotation(0, 0, 0), torch.zeros(3))
    points = torch.tensor([[0.0, 0.0, 0.0, 5.0], [10.0, 4.0, -3.0, 5.0], [0.0, 0.0, 0.0, 5.0]])
    sparse = one_map(points, camera)
    assert sparse[20, 39] == 4.0 and (sparse > 0).sum() == 1


def test_truth_rules_on_small_maps():
    depth = torch.full((9, 9), 10.0)
    depth[:, 5:] = 20.0
    points = torch.zeros(9, 9)
    points[4, 2], points[4, 7], points[2, 2], points[6, 7] = 10.2, 10.2, 10.9, 20.3
    kept = nearest_agreeing(points[None, None], depth[None])[0]
    assert kept.nonzero().tolist() == [[4, 2], [6, 7]]
    # Of several scans a nearer point that disagrees does not hide one that agrees.
    other = torch.zeros(9, 9)
    other[4, 2], other[6, 7], other[2, 2] = 10.1, 12.0, 10.3
    kept = nearest_agreeing(torch.stack((points, other))[None], depth[None])[0]
    assert [round(float(kept[at]), 2) for at in ((4, 2), (6, 7), (2, 2))] == [10.1, 20.3, 10.3]
    truth = torch.zeros(9, 9)
    truth[4, 3], truth[4, 5], truth[4, 8], truth[0, 0] = 10.0, 20.0, 20.0, 10.6
    cleaned = without_occluded(truth[None])[0]
    assert cleaned[4, 5] == 0 and cleaned[4, 8] == 20 and cleaned[4, 3] == 10 and cleaned[0, 0] == pytest.approx(10.6)
    # Growing: the near surface answers one pixel past its edge, and background there is dropped.
    sparse = torch.zeros(9, 9)
    sparse[4, 5] = 10.0
    # In one stack, each frame by its own choice.
    truths = make_truth(sparse.expand(2, 1, 9, 9), depth.expand(2, 9, 9), torch.tensor([False, True]), torch.ones(2) > 0)
    assert truths[:, 4, 5].tolist() == [0, 10]


def test_the_same_seed_is_bit_equal_and_another_differs(frames):
    again = draw_frame(SMALL, 3, 0)
    for name in MAPS:
        assert np.array_equal(again.maps[name], frames[0].maps[name]), name
        alone = draw_frame(SMALL, 3, 0, (name,))
        assert list(alone.maps) == [name] and np.array_equal(alone.maps[name], again.maps[name]), name
    for other in (frames[1], draw_frame(SMALL, 4, 0)):
        assert not np.array_equal(other.maps["dense"], again.maps["dense"])


def test_maps_have_their_shapes_types_and_ranges(frames):
    for frame in frames:
        maps = frame.maps
        assert tuple(maps) == MAPS
        for name in ("sparse_depth", "truth", "dense"):
            assert maps[name].shape == (96, 320) and maps[name].dtype == np.float32 and np.isfinite(maps[name]).all()
            assert maps[name].min() == 0 and maps[name].max() < 260
        assert maps["image"].shape == (96, 320, 3) and maps["image"].dtype == np.uint8 and 15 < maps["image"].std() < 100
        known = maps["dense"] > 0
        lengths = np.linalg.norm(maps["normals"], axis=2)
        np.testing.assert_allclose(lengths[known], 1, atol=1e-3)
        assert (lengths[~known] == 0).all()
        matrix = frame.intrinsics
        rows, columns = np.mgrid[0:96, 0:320]
        rays = np.stack(
            ((columns - matrix[0, 2]) / matrix[0, 0], (rows - matrix[1, 2]) / matrix[1, 1], np.ones((96, 320))), axis=2
        )
        assert ((rays * maps["normals"]).sum(2) <= 1e-3).all(), "a normal looks away from the camera"
        assert set(np.unique(maps["semantics"])) <= {*range(19), 255}
        assert (maps["semantics"][~known] == 10).mean() > 0.5 if (~known).any() else True
    assert any((frame.maps["semantics"] == 13).any() for frame in frames)


def test_sparse_points_lie_on_what_the_camera_sees_but_for_those_seen_past_an_edge(frames):
    off = []
    for frame in frames:
        sparse, dense = frame.maps["sparse_depth"], frame.maps["dense"]
        near = np.stack([np.roll(dense, (i, j), (0, 1)) for i in (-2, -1, 0, 1, 2) for j in (-2, -1, 0, 1, 2)])
        gap = np.abs(near - sparse).min(0)[sparse > 0]
        off.append((gap > 0.1 + 0.02 * sparse[sparse > 0]).mean())
        density = (sparse > 0).mean()
        assert 0.2 < density < 0.5  # KITTI's shots on a fourteenth of its pixels, many to a pixel
    assert 0.005 < np.mean(off) < 0.15


def test_truth_never_lies_behind_the_own_points_and_agrees_with_dense_depth(frames):
    behind = points = 0
    for frame in frames:
        sparse, truth, dense = (frame.maps[name] for name in ("sparse_depth", "truth", "dense"))
        both = (sparse > 0) & (truth > 0)
        assert (truth[both] - sparse[both]).max() <= 1.0
        behind += ((sparse - truth > 1) & (sparse > 1.1 * truth))[both].sum()
        points += both.sum()
        known = (truth > 0) & (dense > 0)
        # A quarter of KITTI's pixels a side: half a row of road is 1 to 2 % of its depth.
        error = np.abs(truth - dense)[known] / dense[known]
        assert np.median(error) < 0.03 and (error > 0.1).mean() < 0.05
        assert (truth > 0).mean() > 0.2 and (truth[: int(0.18 * 96)] == 0).all()
    assert behind / points < 0.03


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_every_layout_has_a_free_lane_and_a_full_view(layout):
    options = StreetOptions(size=(48, 160), layouts=(layout,))
    for number in range(4):
        frame = draw_frame(options, 11, number, ("dense", "sparse_depth", "semantics"))
        assert frame.layout == layout
        # The lower middle is the own lane: nothing nearer than the road there, no body around the camera.
        matrix = frame.intrinsics
        middle = frame.maps["dense"][-4:, 76:84]
        expected = 1.65 * matrix[1, 1] / (np.arange(44, 48) - matrix[1, 2])
        assert (middle > 0.8 * expected[:, None]).all() and (middle < 1.3 * expected[:, None]).all()
        assert (frame.maps["sparse_depth"] > 0).mean() > 0.05
        assert (frame.maps["semantics"][-6:] == 0).mean() > 0.2


def test_truth_options():
    off, dense, raw, grown = (
        draw_frame(StreetOptions(size=(96, 320), **more), 3, 1, ("truth", "dense"))
        for more in ({"truth": "off"}, {"truth": "dense"}, {"truth": "raw"}, {"grow": 1})
    )
    plain = draw_frame(SMALL, 3, 1, ("truth",))
    assert not off.maps["truth"].any()
    first = round(0.18 * 96)
    assert np.array_equal(dense.maps["truth"][first:], dense.maps["dense"][first:])
    assert (raw.maps["truth"] > 0).sum() > (plain.maps["truth"] > 0).sum()
    assert not np.array_equal(grown.maps["truth"], plain.maps["truth"])


def test_any_camera_and_lidar():
    options = StreetOptions(
        size=(61, 83), intrinsics=(70.0, 72.0, 40.0, 25.0), lidar=LidarOptions(lines=16, field=(3, -15), skew=True)
    )
    frame = draw_frame(options, 0, 0)
    assert frame.maps["image"].shape == (61, 83, 3) and frame.intrinsics[1, 1] == 72.0
    full = draw_frame(StreetOptions(size=(61, 83), intrinsics=(70.0, 72.0, 40.0, 25.0)), 0, 0, ("sparse_depth",))
    assert 0 < (frame.maps["sparse_depth"] > 0).sum() < 0.6 * (full.maps["sparse_depth"] > 0).sum()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (4, 100)}, "8 to 8192"),
        ({"truth": "densee"}, "Did you mean 'dense'"),
        ({"layouts": ("suburbs",)}, "Did you mean 'suburb'"),
        ({"layouts": ()}, "empty"),
        ({"grow": 3}, "0 or 1"),
        ({"intrinsics": (0.0, 1.0, 2.0, 3.0)}, "fx, fy, cx, cy"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        StreetOptions(**options)


def test_wrong_lidar_and_map_are_named():
    with pytest.raises(ConfigError, match="at least one line"):
        LidarOptions(lines=0)
    with pytest.raises(ConfigError, match="glass_lost"):
        LidarOptions(glass_lost=0.99, glass_through=0.5)
    with pytest.raises(ConfigError, match="Did you mean 'normals'"):
        draw_frame(SMALL, 0, 0, ("normal",))


def test_nothing_stands_where_the_scanning_car_drives():
    """Points of that space lie in no body's box, in any of many streets (which are drawn without casting a ray)."""
    x, y, z = np.meshgrid(np.linspace(-0.95, 0.95, 5), np.linspace(-7.5, 7.5, 31), np.linspace(0.4, 2.2, 5), indexing="ij")
    space = torch.tensor(np.stack((x, y, z)).reshape(3, -1), dtype=torch.float32)
    for number in range(60):
        scene = draw_scene(np.random.default_rng(number))
        bodies, count = scene.primitives, space.shape[1]
        level = space.clone()
        level[2] += scene.ground.surface(space[0], space[1])
        which = torch.arange(len(bodies)).repeat_interleave(count)
        unit = bodies.local(which, level.repeat(1, len(bodies))).abs().amax(0).reshape(len(bodies), count)
        inside = (unit < 1).any(1).nonzero()[:, 0]
        assert not len(inside), f"street {number} ({scene.layout}): body of class {bodies.label[inside[0]]} in the way"
