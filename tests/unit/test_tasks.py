"""Tasks: decoded values by hand, and what becomes of a target that is partly unknown."""

import pytest
import torch

from mtdc.registry import LOSSES, TASKS, build
from mtdc.structures import NORMALS, RGB_IMAGE, SEMANTICS


def make(kind, **cfg):
    return build(TASKS, {"type": kind, **cfg}, "task", in_channels=3, stride=2, width=1)


def row(*values):
    """A map of one row, (1, 1, 1, W)."""
    return torch.tensor(values).reshape(1, 1, 1, -1)


@pytest.mark.parametrize(
    ("training", "range_m", "expected"),
    [
        (True, (0.9, 100.0), (-15.0, 0.0, 15.0, 90.0, 165.0)),
        (False, (0.9, 100.0), (0.9, 0.9, 15.0, 90.0, 100.0)),
        (False, (2.0, 80.0), (2.0, 2.0, 15.0, 80.0, 80.0)),
        (False, None, (0.0, 0.0, 15.0, 90.0, 165.0)),
    ],
)
def test_depth_is_clamped_at_both_ends_at_test_time_alone(training, range_m, expected):
    """depth = 15 + 15 raw."""
    task = make("DepthTask", range_m=range_m).train(training)
    depth = task.decode(row(-2.0, -1.0, 0.0, 5.0, 10.0), None)["depth"]
    torch.testing.assert_close(depth, row(*expected), rtol=0, atol=1e-5)


def test_depth_is_added_to_the_fill():
    """depth = fill + 10 raw: the mean depth scales, and is no offset where there is a fill."""
    task = make("DepthTask", mean_depth_m=10.0).eval()
    depth = task.decode(row(0.0, 0.5, -1.0, 3.0), row(7.0, 7.0, 7.0, 95.0))["depth"]
    torch.testing.assert_close(depth, row(7.0, 12.0, 0.9, 100.0), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("training", "expected"),
    [(True, (-64.0, 0.0, 128.0, 192.0, 254.0, 320.0)), (False, (0.0, 0.0, 128.0, 192.0, 254.0, 255.0))],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_image_is_middle_gray_and_contrast(channels, training, expected):
    """image = 128 + 64 raw, limited to 0..255 at test time."""
    task = make("ImageTask", channels=channels).train(training)
    raw = row(-3.0, -2.0, 0.0, 1.0, 1.96875, 3.0).expand(1, channels, 1, 6)
    assert torch.equal(task.decode(raw, None)["image"], row(*expected).expand(1, channels, 1, 6))


def test_each_term_has_its_weight():
    """Errors of 3 and -4 metres: l1 is 3.5 and l2 12.5, before the weights."""
    task = make("DepthTask", losses={"l1": {"type": "L1", "weight": 0.25}, "l2": {"type": "L2", "weight": 2}})
    fields = {"depth": row(13.0, 16.0, 50.0)}
    terms = task.loss(fields["depth"], fields, {"gt_depth": row(10.0, 20.0, 0.0)})
    assert {name: term.item() for name, term in terms.items()} == {"l1": 0.875, "l2": 25.0}


@pytest.mark.parametrize("name", ["L1", "L2"])
def test_a_loss_has_weight_one_unless_told(name):
    task = make("DepthTask", losses={"a": {"type": name}, "b": {"type": name, "weight": 3}})
    fields = {"depth": row(2.0)}
    terms = task.loss(fields["depth"], fields, {"gt_depth": row(1.0)})
    assert (terms["a"].item(), terms["b"].item()) == (1.0, 3.0)
    assert build(LOSSES, {"type": name}, "loss").weight == 1


def test_a_pixel_is_known_if_any_channel_is():
    """A normal may lie along an axis, and a colour may equal the unknown value in no channel but all."""
    vectors = torch.tensor([[0.0, 0.6, -0.8], [0.0, 0.0, -1.0], [0.0, 0.0, 0.0], [0.6, 0.0, -0.8]])
    normals = vectors.T.reshape(1, 3, 1, 4)
    assert NORMALS.valid(normals).tolist() == [[[[True, True, False, True]]]]
    colours = torch.tensor([[-1.0, -1.0, -1.0], [0.0, 0.0, 0.0]]).T.reshape(1, 3, 1, 2)
    assert RGB_IMAGE.valid(colours).tolist() == [[[[False, True]]]]
    assert SEMANTICS.valid(torch.tensor([[[0, 255, 7]]])).tolist() == [[[True, False, True]]]


def test_an_axis_aligned_normal_counts_in_the_loss():
    """Two known pixels, one of them along the optical axis: the mean is over both pixels' channels."""
    loss = build(LOSSES, {"type": "L1"}, "loss")
    target = torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.6, -0.8], [0.0, 0.0, 0.0]]).T.reshape(1, 3, 1, 3)
    value = loss(torch.zeros(1, 3, 1, 3), target, NORMALS.valid(target))
    assert value.item() == pytest.approx((1 + 0.6 + 0.8) / 6)
