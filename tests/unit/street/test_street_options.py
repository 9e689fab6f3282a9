"""What can be asked of the street world: closed yards, wet roads, noise that varies, kinds of truth."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import scipy.ndimage
import torch
from mmengine.config import Config

from mtdc.data.datasets.street import StreetWorld
from mtdc.data.street import LidarOptions, StreetOptions, draw_frame, placed
from mtdc.data.street.builder import Builder
from mtdc.data.street.ground import Ground
from mtdc.data.street.layouts import Scene
from mtdc.data.street.primitives import Kind
from mtdc.data.street.shading import Light
from mtdc.data.street.truth import depth_steps, nearest_confirmed, with_edge_band
from mtdc.data.street.writer import street_state
from mtdc.engine.street import make_street
from mtdc.errors import ConfigError

#: Half of the shots, so that the truth's scans are cheap.
SMALL = StreetOptions(size=(96, 320), lidar=LidarOptions(step=0.35, encoder=0.0))


def scene(monkeypatch, *bodies, light=None):
    """Frames of a flat road with boxes: (middle right of the axis, ahead, up), half sizes, speed ahead."""
    b = Builder(Ground(half_width=100.0), np.random.default_rng(0))
    for offset, half, speed in bodies:
        place = b.place(0, 0)._replace(velocity=(0.0, speed))
        b.add(place, Kind.BOX, offset, half, (0.5, 0.5, 0.5), 13)
    drawn = Scene("test", b.ground, b.build()[0], light or Light(sun=0.05), 0.0)
    monkeypatch.setattr(placed, "draw_scene", lambda rng, layouts: drawn)


def test_a_yard_is_closed_on_all_sides_by_what_stands_near():
    open_columns = []
    for number in range(8):
        frame = draw_frame(StreetOptions(size=(88, 304), layouts=("yard",)), 5, number, ("dense",))
        # Just above the horizon a level ray meets nothing but what stands up.
        dense = frame.maps["dense"][round(frame.intrinsics[1, 2]) - 4]
        open_columns.append(((dense == 0) | (dense > 66)).mean())
    # What is farther than the far wall is seen through the gate alone.
    assert np.mean(open_columns) < 0.1


def test_a_wet_road_loses_far_shots_alone_and_is_darker_and_mirrors(monkeypatch):
    box = ((3.0, 20.0, 1.0), (1.5, 2.0, 1.0), 0.0)
    scene(monkeypatch, box, light=Light())
    dry = draw_frame(SMALL, 0, 0, ("sparse_depth", "dense", "image", "semantics")).maps
    wet = draw_frame(replace(SMALL, wet=1.0), 0, 0, ("sparse_depth", "dense", "image", "semantics")).maps
    assert np.array_equal(dry["dense"], wet["dense"]) and np.array_equal(dry["semantics"], wet["semantics"])
    road = dry["semantics"] == 0
    for low, high, least, most in ((0, 8, 0.99, 1.0), (30, 80, 0.05, 0.75)):
        near = (dry["sparse_depth"] > low) & (dry["sparse_depth"] < high) & road
        kept = (wet["sparse_depth"] > 0)[near].mean()
        assert near.sum() > 50 and least <= kept <= most, (low, kept)
    on_box = dry["semantics"] == 13
    inside = scipy.ndimage.binary_erosion(on_box, iterations=2)
    assert inside.sum() > 100 and np.array_equal(dry["sparse_depth"][inside], wet["sparse_depth"][inside])
    # Below the camera the road is dark; where it is seen flatly it shows what stands or shines behind it.
    change = wet["image"].astype(float).mean(2) - dry["image"].astype(float).mean(2)
    assert change[-8:].mean() < -10
    assert np.abs(change[on_box]).mean() < 1 and np.abs(change[dry["semantics"] == 10]).mean() < 1
    matrix = SMALL.camera_matrix()
    horizon, foot = round(matrix[1, 2]), round(matrix[1, 2] + matrix[1, 1] * 1.65 / 18)
    columns = np.flatnonzero(on_box[horizon + 2])[3:-3]
    # The mirrored box stands on its head in front of it, and hides the bright sky that is mirrored beside it.
    mirrored = wet["image"][foot + 2 : foot + 6].astype(float).mean(2)
    assert mirrored[:, columns].mean() < mirrored[:, 20:60].mean() - 8


def test_wetness_comes_at_its_probability_and_other_streets_stay_as_they_are(monkeypatch):
    scene(monkeypatch, ((3.0, 20.0, 1.0), (1.5, 2.0, 1.0), 0.0))
    small = StreetOptions(size=(24, 80))
    some, dry, all_of_them = (
        [draw_frame(replace(small, wet=wet), 1, n, ("image",)).maps["image"] for n in range(40)] for wet in (0.4, 0.0, 1.0)
    )
    same = [np.array_equal(a, b) for a, b in zip(some, dry, strict=True)]
    assert 15 <= sum(same) <= 33
    assert all(np.array_equal(a, c) for a, c, dry_one in zip(some, all_of_them, same, strict=True) if not dry_one)


def test_noise_varies_from_frame_to_frame_within_its_factors(monkeypatch):
    scene(monkeypatch, ((0.0, 20.5, 0.0), (100.0, 0.5, 100.0), 0.0))
    quiet = LidarOptions(lost=0.0, mixed=0.0, ring_bias=0.0, noise=0.0)

    def spread(number, factors):
        lidars = (quiet, replace(quiet, noise=0.02, noise_factor=factors))
        exact, noisy = (
            draw_frame(replace(SMALL, lidar=one), 2, number, ("sparse_depth",)).maps["sparse_depth"] for one in lidars
        )
        known = (exact > 15) & (exact < 26) & (noisy > 0)
        return float((noisy - exact)[known].std())

    plain, varied = ([spread(n, factors) for n in range(10)] for factors in ((1.0, 1.0), (0.5, 4.0)))
    # Ranges of 20 to 24 m: 0.02 (1 + z / 25), and of several points in a pixel the nearest counts.
    assert min(plain) > 0.03 and max(plain) < 0.042
    ratio = np.array(varied) / plain
    assert 0.45 < ratio.min() < 0.9 and 1.8 < ratio.max() < 4.4


def test_things_in_motion_are_thinned_in_the_truth(monkeypatch):
    """Other scans saw a van on its way elsewhere: it keeps its own scan's points, and leaves none on what is around it."""
    wall = ((0.0, 30.5, 0.0), (60.0, 0.5, 8.0), 0.0)
    shares = {}
    for speed in (0.0, 10.0):
        scene(monkeypatch, wall, ((0.0, 16.0, 1.3), (2.5, 1.0, 1.0), speed))
        frame = draw_frame(StreetOptions(size=(176, 608)), 0, 0, ("truth", "dense", "sparse_depth")).maps
        van = (frame["dense"] > 14) & (frame["dense"] < 15.6) & (np.arange(176)[:, None] < 100)
        assert van.sum() > 2000
        shares[speed] = (frame["truth"] > 0)[van].mean()
        behind = (frame["dense"] > 28) & (frame["dense"] < 33) & (np.arange(176)[:, None] > 50)
        known = behind & (frame["truth"] > 0)
        assert known.sum() > 500 and (np.abs(frame["truth"] - frame["dense"]) < 1.5)[known].mean() > 0.995
    assert 0.05 < shares[10.0] < 0.4 * shares[0.0] and shares[0.0] > 0.8


def test_steps_of_depth_and_the_band_around_them_on_small_maps():
    depth = torch.full((9, 9), 10.0)
    depth[:, 5:] = 20.0
    depth[0] = 0.0
    steps = depth_steps(depth[None])[0]
    # Both sides of the edge, and the pixels beside nothing; a slope of 3 % a pixel is none.
    assert steps[2:, 4:6].all() and not steps[2:, :4].any() and not steps[2:, 6:].any() and steps[:2].all()
    assert not depth_steps(20 * 1.03 ** torch.arange(9.0).repeat(1, 9, 1)).any()
    truth = torch.full((9, 9), 7.0)
    banded = with_edge_band(truth[None], depth[None], 2, farthest=15.0)[0]
    assert (banded[4:, 2:5] == 10).all(), "what the camera sees, within 2 pixels of the step"
    assert (banded[4:, 5:8] == 0).all(), "farther than the LiDAR reaches"
    assert (banded[4:, :2] == 7).all() and (banded[4:, 8] == 7).all()


def test_truth_of_scans_alone_on_small_maps():
    own, first, second = torch.zeros(3, 12, 12)
    own[2, 2], own[2, 9], own[9, 2] = 10.0, 40.0, 20.0
    first[2, 3], second[2, 3] = 10.3, 10.1  # both within 0.15 m and 2 % of the own point: the nearer one
    first[2, 9] = 39.5  # nearer than the own point and confirmed by it
    first[5, 2] = 10.0  # three rows below the own point: the last that counts
    first[6, 2] = 10.0  # four rows below it, three above one at 20 m: unconfirmed
    first[9, 3] = 21.0  # 1 m off, where 0.55 m are allowed
    truth = nearest_confirmed(torch.stack((own, first, second))[None])[0]
    expected = torch.zeros(12, 12)
    expected[2, 2], expected[2, 3], expected[2, 9], expected[5, 2], expected[9, 2] = 10.0, 10.1, 39.5, 10.0, 20.0
    assert torch.equal(truth, expected)


def test_truth_of_scans_alone_lets_near_surfaces_reach_past_their_silhouettes(monkeypatch):
    scene(monkeypatch, ((0.0, 8.0, 0.85), (1.2, 1.0, 0.85), 0.0), ((0.0, 40.0, 3.0), (30.0, 1.0, 3.0), 0.0))
    options = StreetOptions(size=(176, 608), lidar=LidarOptions(step=0.35), truth="raw")
    camera, scans = (draw_frame(replace(options, scan_share=share), 0, 0, ("truth", "dense")).maps for share in (0.0, 1.0))
    before = [((maps["truth"] > 0) & (maps["truth"] < maps["dense"] - 1)).sum() for maps in (camera, scans)]
    assert before[1] > 100 and before[0] < 0.1 * before[1]
    assert (scans["truth"] > 0).sum() > 0.7 * (camera["truth"] > 0).sum()


def test_edge_band_is_dense_at_silhouettes_and_accumulated_elsewhere():
    plain, banded = (
        draw_frame(replace(SMALL, edge_band=band), 3, 1, ("truth", "dense", "sparse_depth")).maps for band in (0, 3)
    )
    dense, first = plain["dense"], round(0.18 * 96)
    # Steps to the right, away from the own scan's points.
    left, right = dense[:, :-1], dense[:, 1:]
    jump = (left > 0) & (right > 0) & (np.abs(left - right) > 1) & (np.maximum(left, right) < 80)
    jump &= np.maximum(left, right) > 1.1 * np.minimum(left, right)
    jump[:first] = False
    free = (plain["sparse_depth"][:, :-1] == 0) & (plain["sparse_depth"][:, 1:] == 0)
    at = jump & free
    assert at.sum() > 100
    assert np.array_equal(banded["truth"][:, :-1][at], left[at]) and np.array_equal(banded["truth"][:, 1:][at], right[at])
    # And nowhere else: far from unequal neighbours the accumulated truth stays.
    far = np.where(dense > 0, dense, np.inf)
    near = scipy.ndimage.minimum_filter(far, 11), scipy.ndimage.maximum_filter(far, 11)
    even = near[1] < 1.08 * near[0] + 0.2
    assert even.sum() > 2000 and np.array_equal(banded["truth"][even], plain["truth"][even])


def test_shares_of_grown_and_filtered_frames_leave_inputs_alone(monkeypatch):
    scene(
        monkeypatch,
        ((2.5, 14.0, 0.8), (1.0, 2.0, 0.8), 0.0),
        ((-4.0, 9.0, 1.0), (0.5, 0.5, 1.0), 0.0),
        ((0.0, 45.0, 2.0), (30.0, 1.0, 2.0), 0.0),
    )
    coarse = replace(SMALL, size=(48, 160), lidar=LidarOptions(step=0.7))
    kinds = {
        "filtered": coarse,
        "raw": replace(coarse, truth="raw"),
        "grown": replace(coarse, grow=1),
        "half filtered": replace(coarse, filter_share=0.5),
        "of scans": replace(coarse, scan_share=1.0),
        "half of scans": replace(coarse, scan_share=0.5),
        "half grown": replace(coarse, grow=1, grow_share=0.5),
    }
    numbers = range(5)
    drawn = {k: [draw_frame(o, 4, n, ("sparse_depth", "truth", "image")).maps for n in numbers] for k, o in kinds.items()}
    for frames in drawn.values():
        for one, plain in zip(frames, drawn["filtered"], strict=True):
            assert np.array_equal(one["sparse_depth"], plain["sparse_depth"])
            assert np.array_equal(one["image"], plain["image"])
    pairs = (("half filtered", "filtered", "raw"), ("half grown", "grown", "filtered"))
    for mixed, first, second in (*pairs, ("half of scans", "of scans", "filtered")):
        like_first = [np.array_equal(a["truth"], b["truth"]) for a, b in zip(drawn[mixed], drawn[first], strict=True)]
        like_second = [np.array_equal(a["truth"], b["truth"]) for a, b in zip(drawn[mixed], drawn[second], strict=True)]
        assert all(a != b for a, b in zip(like_first, like_second, strict=True)), mixed
        assert 1 <= sum(like_first) <= 4, mixed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wet": 1.5}, "wet=1.5; expected a part of the frames, 0 to 1"),
        ({"grow_share": 0.5}, "say grow=1 as well"),
        ({"filter_share": 0.5, "truth": "raw"}, "expected truth='filtered'"),
        ({"scan_share": -0.5}, "scan_share=-0.5; expected a part of the frames"),
        ({"scan_share": 0.5, "truth": "dense"}, "scan_share=0.5 with truth='dense'"),
        ({"edge_band": 3, "truth": "dense"}, "edge_band=3 with truth='dense'"),
        ({"edge_band": -1}, "0 to 64 pixels"),
        ({"cameras": (2, 4)}, r"expected \(2,\), \(3,\) or \(2, 3\)"),
    ],
)
def test_options_that_cannot_be_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        StreetOptions(**options)


def test_wrong_noise_factors_are_named():
    with pytest.raises(ConfigError, match="the least and the largest factor"):
        LidarOptions(noise_factor=(2.0, 0.5))
    with pytest.raises(ConfigError, match="lidar has no 'noise_factors'. Did you mean 'noise_factor'"):
        LidarOptions.of({"noise_factors": [1, 2]})


def test_a_config_and_the_data_set_take_every_option(tmp_path):
    options = {
        "truth": "filtered", "filter_share": 0.5, "grow": 1, "grow_share": 0.25, "edge_band": 2, "cameras": [2, 3],
        "one_camera": True, "wet": 0.5, "layouts": ["yard"],
    }  # fmt: skip
    lidar = {"step": 1.0, "noise_factor": [0.5, 2.0], "mount_noise": 0.02}
    drawn = StreetWorld(2, (24, 80), lidar=lidar, **options).options
    street = {"splits": {"train": 1}, "size": [24, 80], "lidar": lidar, "processes": 1, **options}
    make_street(Config({"train_dataloader": {"dataset": {"data_root": str(tmp_path)}}, "street": street}))
    assert street_state(tmp_path / "train")["options"] == json.loads(json.dumps(asdict(drawn)))
    assert drawn.cameras == (2, 3) and drawn.lidar.noise_factor == (0.5, 2.0) and drawn.grow_share == 0.25
    street["lidar"] = {"noise_factors": [1, 2]}
    with pytest.raises(ConfigError, match="lidar has no 'noise_factors'"):
        make_street(Config({"train_dataloader": {"dataset": {"data_root": str(tmp_path)}}, "street": street}))
