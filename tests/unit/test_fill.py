"""The torch fill: near surfaces win, every pixel is answered."""

import pytest
import torch
from support import sparse_map

from mtdc.inputs.relative_fill import RelativeFill
from mtdc.layers.fill import closest_surface_fill, farthest_surface_fill, smooth


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 64), (17, 200), (375, 1242)])
def test_one_point_fills_the_map(size):
    sparse = torch.zeros(1, 1, *size)
    sparse[0, 0, -1, -1] = 7.0
    assert torch.allclose(closest_surface_fill(sparse), torch.tensor(7.0), atol=1e-4)


def test_an_empty_map_stays_empty_beside_a_full_one():
    sparse = sparse_map(40, 60)
    sparse[0] = 0
    filled = closest_surface_fill(sparse)
    assert (filled[0] == 0).all()
    assert (filled[1] > 0).all()


def test_near_surface_covers_background_seen_through_its_gaps():
    """A near object of points four pixels apart, with far points between them: the far ones are seen through it."""
    sparse = torch.zeros(1, 1, 32, 32)
    sparse[..., 4:28:4, 4:28:4] = 5.0
    sparse[..., 6:26:4, 6:26:4] = 40.0
    inside = closest_surface_fill(sparse)[0, 0, 4:25, 4:25]
    assert torch.allclose(inside, torch.tensor(5.0), atol=1e-4)


def test_values_come_from_the_map():
    sparse = sparse_map(48, 64, density=0.05)
    filled = closest_surface_fill(sparse)
    for frame, source in zip(filled, sparse, strict=True):
        assert frame.min() >= source[source > 0].min() - 1e-3
        assert frame.max() <= source[source > 0].max() + 1e-3


def test_scales_with_depth():
    sparse = sparse_map(48, 64, density=0.05)
    torch.testing.assert_close(closest_surface_fill(2 * sparse), 2 * closest_surface_fill(sparse), rtol=1e-4, atol=1e-4)


def test_a_near_point_covers_its_diamond_over_far_points():
    """Radius 2: |dy| + |dx| <= 2, thirteen pixels, and not the square around it."""
    sparse = torch.full((1, 1, 15, 17), 40.0)
    sparse[..., 7, 8] = 5.0
    rows, columns = torch.meshgrid(torch.arange(15), torch.arange(17), indexing="ij")
    inside = (rows - 7).abs() + (columns - 8).abs() <= 2
    assert inside.sum() == 13
    torch.testing.assert_close(closest_surface_fill(sparse)[0, 0], torch.where(inside, 5.0, 40.0))


@pytest.mark.parametrize(
    ("gap", "near"),
    [
        (3, 2),  # growth alone: two pixels from each side, the near side first
        (8, 2),  # four pixels are left by growth, and closing takes the lower, which is the far side
        (9, 5),  # five are too many for closing: the window of 5 leaves one, which is near's
        (12, 7),  # growth 2, window 5: 2, window 7: 3; of the last four pixels far has the outermost
        (14, 7),
        (16, 9),  # two pixels are left to the window of 13, and near takes both
        (20, 13),  # its whole reach: six
        (24, 13),
        (26, 13),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_gap_between_near_and_far_is_filled_step_by_step(gap, near, turned):
    """Columns of 5 m, a gap, columns of 40 m: how many pixels of the gap become near."""
    line = torch.tensor([5.0] * 20 + [0.0] * gap + [40.0] * 20)
    sparse = line.expand(1, 1, 24, -1)
    expected = torch.tensor([5.0] * (20 + near) + [40.0] * (20 + gap - near)).expand(1, 1, 24, -1)
    if turned:
        sparse, expected = sparse.mT, expected.mT
    torch.testing.assert_close(closest_surface_fill(sparse), expected)


def test_what_no_window_reaches_has_the_mean_of_its_cell():
    """Points at columns 0 (5 m) and 28 (20 m) reach 13 columns each: column 14 is left, in the cell of columns 8 to 15.

    The cell knows 6 columns of 1/5 and one of 1/20 per metre, and 7 / (6/5 + 1/20) = 5.6 m.
    """
    sparse = torch.zeros(1, 1, 8, 40)
    sparse[..., 0, 0] = 5.0
    sparse[..., 0, 28] = 20.0
    line = torch.tensor([5.0] * 14 + [5.6] + [20.0] * 25)
    torch.testing.assert_close(closest_surface_fill(sparse), line.expand(1, 1, 8, 40))


def test_far_outside_the_nearest_known_cells_value_goes_on():
    """One point at each end: halfway between them the near one's cells meet the far one's."""
    sparse = torch.zeros(1, 1, 8, 320)
    sparse[..., 0, 0] = 5.0
    sparse[..., 0, 319] = 20.0
    line = closest_surface_fill(sparse)[0, 0, 3]
    assert torch.allclose(line[:150], torch.tensor(5.0))
    assert torch.allclose(line[-100:], torch.tensor(20.0))
    assert ((line - 5).abs() < 1e-4).logical_or((line - 20).abs() < 1e-4).all()


def test_smoothing_by_hand():
    """One pixel of 16 x 16 m among zeros spreads by the outer product of (1, 4, 6, 4, 1); a constant stays."""
    depth = torch.zeros(1, 1, 9, 9)
    depth[0, 0, 4, 4] = 256.0
    row = torch.tensor([1.0, 4, 6, 4, 1])
    assert torch.allclose(smooth(depth)[0, 0, 2:7, 2:7], row[:, None] * row)
    assert torch.allclose(smooth(torch.full((2, 1, 3, 4), 7.0)), torch.tensor(7.0))


def test_farthest_surface_is_the_greatest_depth_of_its_window():
    sparse = sparse_map(23, 31, density=0.05)
    filled = farthest_surface_fill(sparse)
    for row, column in ((0, 0), (4, 3), (11, 15), (22, 30), (20, 2)):
        window = sparse[:, :, max(0, row - 4) : row + 5, max(0, column - 3) : column + 4]
        assert torch.equal(filled[:, 0, row, column], window.amax(dim=(1, 2, 3)))


def test_relative_fill_by_hand():
    """One near row over a far one: what every channel says beside and on the step."""
    sparse = torch.zeros(1, 1, 40, 24)
    sparse[..., :20, :] = 40.0
    sparse[..., 20:, :] = 10.0
    x, layout, base = RelativeFill()({"sparse_depth": sparse})
    channels = dict(zip(layout, x[0, :, :, 12], strict=True))
    # The near side grows by two rows, to row 18: the average of rows 15 to 19 has 4/16 + 1/16 of them near.
    torch.testing.assert_close(base[0, 0, [5, 17, 30], 12], torch.tensor([40.0, 40 - 30 * 5 / 16, 10.0]))
    fill = base[0, 0, :, 12]
    torch.testing.assert_close(channels["log_fill"], fill.log())
    torch.testing.assert_close(channels["fill"], fill / 20)
    torch.testing.assert_close(channels["near_step"][[5, 19, 30]], torch.tensor([40.0, 10, 10]) / fill[[5, 19, 30]] - 1)
    torch.testing.assert_close(
        channels["far_step"][[5, 19, 21, 30]], (torch.tensor([40.0, 40, 40, 10]) / fill[[5, 19, 21, 30]]).log()
    )
    torch.testing.assert_close(channels["sparse_step"], (sparse[0, 0, :, 12] / fill).log())
    assert (channels["mask"] == 1).all()
    twice = RelativeFill()({"sparse_depth": 2 * sparse})
    steps = [i for i, name in enumerate(layout) if name not in ("log_fill", "fill")]
    torch.testing.assert_close(twice.x[:, steps], x[:, steps], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(twice.base_depth, 2 * base)
