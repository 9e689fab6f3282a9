"""Several frames drawn as one: each comes out to the bit as alone, whatever it is drawn with."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mtdc.data.street import MAPS, LidarOptions, StreetOptions, draw_frames, draw_views, views
from mtdc.data.street.columns import each_alone, stacked
from mtdc.data.street.ground import KERB, ROAD, SIDE, Ground
from mtdc.data.street.layouts import LAYOUTS, draw_scene
from mtdc.data.street.primitives import Primitives
from mtdc.data.street.shading import Light
from mtdc.errors import ConfigError

#: Few shots: the truth's scans are cheap.
COARSE = LidarOptions(step=0.9)
SMALL = StreetOptions(size=(41, 131), lidar=COARSE)


@pytest.fixture
def stacks(monkeypatch):
    """The processor draws stacks as large as a GPU's; the list says how many scenes each cast was of."""
    sizes = []
    monkeypatch.setitem(views._STACK, "cpu", views._LARGE_STACK)
    real = views.cast

    def cast(bodies, ground, grid):
        sizes.append(grid.directions.shape[1])
        return real(bodies, ground, grid)

    monkeypatch.setattr(views, "cast", cast)
    return sizes


def same(found, expected):
    assert [list(one) for one in found] == [list(one) for one in expected]
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        for camera, frame in one.items():
            assert frame.layout == other[camera].layout and frame.camera == camera
            np.testing.assert_array_equal(frame.intrinsics, other[camera].intrinsics)
            assert list(frame.maps) == list(other[camera].maps)
            for name, values in frame.maps.items():
                before = other[camera].maps[name]
                assert values.dtype == before.dtype and np.array_equal(values, before), (number, camera, name)


@pytest.fixture(scope="module")
def mixed():
    """Six frames of five layouts by themselves, dry and wet, under sun and clouds, with the options
    under which frames of a batch differ most."""
    options = replace(
        SMALL, cameras=(2, 3), wet=0.5, grow=1, grow_share=0.5, filter_share=0.5, scan_share=0.3, edge_band=3,
        lidar=replace(COARSE, skew=True, mount_noise=0.02, noise_factor=(0.5, 2.0)),
    )  # fmt: skip
    frames = [draw_views(options, 2, number) for number in range(6)]
    assert len({one[2].layout for one in frames}) == 5
    return options, frames


def test_frames_are_the_same_in_any_company(stacks, mixed):
    options, alone = mixed
    same(draw_frames(options, 2, range(6)), alone)
    assert stacks == [12]
    for numbers in ([4, 0, 2], [5, 5]):
        same(draw_frames(options, 2, numbers), [alone[number] for number in numbers])
    assert stacks == [12, 6, 4]


@pytest.mark.parametrize("truth", ["raw", "filtered", "dense", "off"])
def test_every_kind_of_truth(stacks, truth):
    options = replace(SMALL, truth=truth, wet=0.3)
    wanted = ("sparse_depth", "truth", "normals")
    expected = [draw_views(options, 9, number, wanted) for number in range(2)]
    del stacks[:]
    same(draw_frames(options, 9, range(2), wanted), expected)
    assert stacks == [2]


def test_cameras_may_differ_from_frame_to_frame(stacks):
    options = replace(SMALL, cameras=(2, 3), one_camera=True, truth="off")
    seen = [options.cameras_of(1, number) for number in range(6)]
    assert len(set(seen)) == 2
    expected = [draw_views(options, 1, number, ("sparse_depth", "image")) for number in range(6)]
    same(draw_frames(options, 1, range(6), ("sparse_depth", "image")), expected)
    right = draw_frames(options, 1, [0, 1], ("dense",), cameras=[(3,), (3, 2)])
    assert [list(one) for one in right] == [[3], [3, 2]]
    same(right, [draw_views(options, 1, n, ("dense",), cameras=c) for n, c in ((0, (3,)), (1, (3, 2)))])


def test_a_batch_is_cut_where_memory_ends(stacks, monkeypatch):
    """41 x 131 pixels are 5371 rays; the truth's eleven scans, each of 64 x 107 shots, 75328."""
    expected = draw_frames(SMALL, 2, range(3), ("dense", "truth"))
    assert stacks == [3]
    monkeypatch.setitem(views._STACK, "cpu", 2 * 75328)
    same(draw_frames(SMALL, 2, range(3), ("dense", "truth")), expected)
    assert stacks == [3, 2, 1]


def test_a_processor_draws_frame_by_frame(stacks, monkeypatch):
    monkeypatch.undo()
    sizes = []
    real = views.Views.maps
    monkeypatch.setattr(views.Views, "maps", lambda self, wanted: sizes.append(len(self.seen)) or real(self, wanted))
    draw_frames(StreetOptions(size=(176, 608), truth="off"), 0, range(2), ("dense",))
    assert sizes == [1, 1]


def test_nothing_to_draw_and_wrong_arguments():
    assert draw_frames(SMALL, 0, []) == []
    with pytest.raises(ConfigError, match="Did you mean 'normals'"):
        draw_frames(SMALL, 0, [0, 1], ("normal",))
    with pytest.raises(ConfigError, match="no camera"):
        draw_frames(SMALL, 0, [0, 1], ("dense",), cameras=[(2,), (4,)])


def test_grounds_in_a_stack_are_each_its_own():
    grounds = [draw_scene(np.random.default_rng(seed), (name,)).ground for seed in range(2) for name in LAYOUTS]
    directions, origins = torch.randn(3, len(grounds), 501), torch.randn(3, len(grounds), 1)
    directions[2], origins[2] = -0.1 * directions[2].abs(), 1.7
    stack = Ground.stack(grounds, "cpu")
    t, what = stack.meet(origins, directions)
    assert all((what == part).sum() > 20 for part in (ROAD, SIDE, KERB))
    for number, ground in enumerate(grounds):
        alone = ground.meet(origins[:, number], directions[:, number])
        assert torch.equal(t[number], alone[0]) and torch.equal(what[number], alone[1])
        x, y = directions[:2, number] * 20
        here = stack.at(torch.full((501,), number))
        assert torch.equal(here.normal(x, y), ground.normal(x, y))
        assert torch.equal(here.surface(x, y), ground.surface(x, y))
        assert (what[number] == KERB).any() <= (ground.kerb > 0)


def test_numbers_of_a_stack_are_columns_and_one_scene_stays_as_it_is():
    lights = [Light(lane_marks=(), sun=0.05, side_green=True), Light(lane_marks=(-1.5, 1.5), seed=7)]
    assert Light.stack(lights[:1], "cpu").sun == 0.05
    both = Light.stack(lights, "cpu")
    assert both.sun.shape == (2, 1) and both.sun.flatten().tolist() == pytest.approx([0.05, 0.8])
    assert both.seed.dtype == torch.int32 and both.seed.flatten().tolist() == [1, 7]
    assert both.side_green and both.slabs.flatten().tolist() == [False, True]
    assert [mark[1].item() for mark in both.lane_marks] == [-1.5, 1.5] and all(mark[0] > 1e3 for mark in both.lane_marks)
    assert both.at(torch.tensor([1, 1, 0])).ambient.shape == (3,)
    assert lights[0].lane_marks == () and not isinstance(lights[1].sun, torch.Tensor)
    assert stacked([Ground(kerb=0.1), Ground()], ("kerb",), ("has_kerb",), "cpu").has_kerb is True


def test_bodies_of_a_stack_know_their_scene():
    bodies = [draw_scene(np.random.default_rng(seed)).primitives for seed in range(3)]
    stack = Primitives.stack(bodies)
    assert len(stack) == sum(map(len, bodies)) and torch.bincount(stack.scene).tolist() == [len(one) for one in bodies]
    assert torch.equal(stack.centre[:, stack.scene == 2], bodies[2].centre)


def test_powers_round_alike_in_any_company():
    """Torch rounds the last elements of a tensor otherwise than those in its vectors: 5 of 37 here."""
    values = torch.rand(40, 37) + 0.01
    together = each_alone(lambda x: x.pow(0.3), values)
    for row, alone in zip(together, values, strict=True):
        assert torch.equal(row, alone.clone().pow(0.3))


def test_all_maps_are_made_in_batches(stacks):
    (frame,) = draw_frames(replace(SMALL, layouts=("yard",)), 0, [3])
    assert tuple(frame[2].maps) == MAPS
