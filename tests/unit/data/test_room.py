"""Drawn rooms against distances worked out by hand."""

import numpy as np
import pytest
import torch

from mtdc.data.datasets import room as drawing
from mtdc.errors import ConfigError
from mtdc.registry import DATASETS, build
from mtdc.structures import DEPTH, SEMANTICS

CAMERA = np.array([[100.0, 0, 40], [0, 100.0, 30], [0, 0, 1]])
SIZE = (61, 81)
#: World from a level camera that looks along y.
LEVEL = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def seen(*boxes):
    """Depth from 1.2 m above the floor of a room 10 m wide and 3 m high, whose far wall is 5 m ahead."""
    rows = [((0, 1.5, 1.5), (5, 3.5, 1.5), 0.0), *boxes]
    columns = [np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)]
    room = drawing._Room(*columns, color=np.full((len(rows), 3), 0.5), period=np.full(len(rows), 0.3))
    return drawing._seen(room, np.array([0, 0, 1.2]), LEVEL, SIZE, CAMERA)


def rooms(**more):
    return build(DATASETS, {"type": "DrawnRooms", "length": 3, "split": "zoo"}, "dataset", **more)


def test_walls_and_floor_are_where_they_should_be():
    depth, photo = seen()
    assert np.allclose(depth[:50], 5.0, rtol=1e-6)  # depth along the axis, not along the ray
    below = np.arange(55, 61)
    assert np.allclose(depth[below], (1.2 * 100 / (below - 30))[:, None], rtol=1e-6)  # similar triangles on the floor
    assert np.count_nonzero(np.diff(photo[45].mean(axis=1))) > 3, "the wall has no stripes"


def test_a_turned_box_shows_its_edge():
    """A pillar of half side 0.5 m, 3 m ahead and turned by 45 degrees: its edge is half a diagonal nearer."""
    depth, _ = seen(((0, 3, 1.5), (0.5, 0.5, 1.5), np.pi / 4))
    edge = 3 - 0.5 * np.sqrt(2)
    assert depth[30, 40] == pytest.approx(edge, rel=1e-6)
    # Ten pixels aside the ray x = 0.1 z meets the face z = edge + |x|.
    assert depth[30, 50] == pytest.approx(edge / 0.9, rel=1e-6) == depth[30, 30]
    assert depth[30, 0] == pytest.approx(5.0) and (depth < 3).any(axis=0).sum() < 81


def test_what_stands_behind_is_hidden():
    near = ((0, 2, 1.5), (0.5, 0.1, 1.5), 0.0)
    behind = ((0, 4, 1.5), (0.2, 0.1, 1.5), 0.0)
    assert np.array_equal(seen(near, behind)[0], seen(near)[0]) and np.array_equal(seen(behind, near)[0], seen(near)[0])
    assert seen(near)[0][30, 40] == pytest.approx(1.9)


def test_frames_are_indoors_and_repeat():
    """Every pixel is answered within the room, and a frame is the same in another copy of the data set."""
    data, again = (rooms(inputs=("sparse_depth", "image", "intrinsics")) for _ in range(2))
    for number in range(3):
        item, other = data[number], again[number, 7]
        depth, image = item["inputs"]["sparse_depth"], item["inputs"]["image"]
        assert depth.shape == (1, 228, 304) and depth.min() > 0.5 and depth.max() < 10
        assert image.max() > 100 and image.std() > 10
        assert all(torch.equal(value, other["inputs"][key]) for key, value in item["inputs"].items())
    assert not torch.equal(data[0]["inputs"]["sparse_depth"], data[1]["inputs"]["sparse_depth"])
    other_split = build(DATASETS, {"type": "DrawnRooms", "length": 1, "split": "val"}, "dataset")
    assert not torch.equal(data[0]["inputs"]["sparse_depth"], other_split[0]["inputs"]["sparse_depth"])


def test_points_are_drawn_from_the_whole_depth():
    data = rooms(transforms=[{"type": "SamplePoints", "points": 500, "fixed": True}])
    item = data[0]
    sparse, truth = item["inputs"]["sparse_depth"], item["data_samples"].gt_depth
    assert int((sparse > 0).sum()) == 500 and (truth > 0).all()
    assert torch.equal(sparse[sparse > 0], truth[sparse > 0])


def test_what_is_not_drawn_is_unknown_or_refused():
    assert (rooms(targets=(DEPTH, SEMANTICS))[0]["data_samples"].gt_semantics == 255).all()
    assert rooms().count(SEMANTICS) == 0
    for wrong in ({"length": 0}, {"size": (0, 5)}, {"size": (5,)}):
        with pytest.raises(ConfigError, match="DrawnRooms"):
            build(DATASETS, {"type": "DrawnRooms", "length": 1, **wrong}, "dataset")
