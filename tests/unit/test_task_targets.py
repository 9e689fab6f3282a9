"""Targets that tasks make from other fields, and labels on some frames alone."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from mtdc import ConfigError
from mtdc.data.datasets.street import StreetWorld
from mtdc.data.maps import read_map
from mtdc.errors import DataError
from mtdc.model import build_model
from mtdc.registry import TASKS, build
from mtdc.structures import DEPTH, IMAGE_GRADIENTS, INTRINSICS, NORMALS

K = torch.tensor([[60.0, 0, 20], [0, 60.0, 10], [0, 0, 1]])


def task(name, **options):
    return build(TASKS, {"type": name, **options}, "task", in_channels=4, stride=2, width=1)


def slanted(height=20, width=40):
    """Depth of the plane with normal (0, -0.6, -0.8) at 8 m: by the intersection of each pixel's ray."""
    rows = torch.arange(height).float()[:, None].expand(height, width)
    return (8 / (0.6 * (rows - K[1, 2]) / K[1, 1] + 0.8))[None, None]


def test_frames_without_normals_get_those_of_their_depth():
    own = torch.zeros(2, 3, 20, 40)
    own[0, 2] = -1.0
    own[0, :, :5] = 0  # partly known is known: the data set has them
    batch = {"gt_normals": own, "gt_depth": slanted().expand(2, -1, -1, -1), "intrinsics": K.expand(2, 3, 3)}
    target = task("NormalsTask").make_target(batch)
    assert torch.equal(target[0], own[0])
    found = target[1].norm(dim=0) > 0
    assert found.float().mean() > 0.9
    expected = torch.tensor([0.0, -0.6, -0.8])[:, None]
    assert torch.allclose(target[1][:, found], expected.expand(3, int(found.sum())), atol=1e-4)
    assert torch.equal(task("NormalsTask", from_depth=False).make_target(batch), own)
    assert torch.equal(task("NormalsTask").make_target({"gt_normals": own}), own), "nothing to make them from"


def test_gradients_of_the_photo_by_hand():
    photo = torch.tensor([[[[10.0, 13, 20], [11, 30, -1], [12, 12, 12]]]])
    target = task("ImageGradientsTask").make_target({"gt_image": photo})
    unknown = IMAGE_GRADIENTS.unknown
    assert target[0, :, 0, 0].tolist() == [3.0, 1.0]
    assert target[0, :, 0, 1].tolist() == [7.0, 17.0]
    assert target[0, :, 1, 0].tolist() == [19.0, 1.0]
    assert target[0, :, 1, 1].tolist() == [unknown, unknown], "its right neighbour is unknown"
    assert (target[0, :, 2] == unknown).all() and (target[0, :, :, 2] == unknown).all()
    known = IMAGE_GRADIENTS.valid(target)
    assert known.sum() == 3


def whole(**tasks):
    return build_model(
        {
            "width": 1,
            "network": {
                "type": "MultiTaskNetwork",
                "representation": {"type": "RelativeFill"},
                "encoder": {"type": "ResidualEncoder", "multiples": (2, 2), "blocks": (0, 0)},
                "trunk": {"type": "TransposedConvTrunk", "strides": (2,), "multiples": (2,)},
                "sharing": {"type": "NoSharing"},
                "tasks": {"depth": {"type": "DepthTask", "losses": {"l1": {"type": "L1"}}}, **tasks},
            },
            "weighting": {"type": "FixedWeighting"},
        }
    )


ALL = {
    "image": {"type": "ImageTask", "losses": {"l2": {"type": "L2"}}},
    "image_gradients": {"type": "ImageGradientsTask", "losses": {"l1": {"type": "L1"}}},
    "normals": {"type": "NormalsTask", "losses": {"cosine": {"type": "Cosine"}}},
    "semantics": {"type": "SemanticsTask", "losses": {"ce": {"type": "CrossEntropy"}}},
}


def test_a_model_says_what_its_targets_are_made_from():
    model = whole(**ALL)
    assert [row.name for row in model.training_input_fields] == ["sparse_depth", "intrinsics"]
    assert {row.name for row in model.target_fields} == {"depth", *ALL}
    inputs, targets = model.fields_to_measure((NORMALS,))
    assert {row.name for row in inputs} == {"sparse_depth", INTRINSICS.name}
    assert {row.name for row in targets} == {NORMALS.name, DEPTH.name}
    inputs, targets = model.fields_to_measure((DEPTH,))
    assert [row.name for row in inputs] == ["sparse_depth"] and targets == (DEPTH,), "evaluating depth opens nothing else"


def batch_of(model, training=True):
    inputs = model.training_input_fields if training else model.input_fields
    data = StreetWorld(length=2, size=(48, 96), inputs=inputs, targets=model.target_fields)
    return [data[0], data[1]]


def hide(frame, *fields):
    for row in fields:
        key = row.target_key
        frame["data_samples"].set_field(torch.full_like(frame["data_samples"].get(key), row.unknown), key)


def test_labels_on_some_frames_train_those_alone():
    """The second frame has no label of any auxiliary task: each loss is that of the first frame on its own."""
    torch.manual_seed(0)
    model = whole(**ALL).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()  # so that frames don't see each other
    frames = batch_of(model)
    fields = [model.network.tasks[name].field for name in ("image", "semantics")]
    hide(frames[1], *fields)

    def losses(some):
        data = model.data_preprocessor(pseudo_collate(some), True)
        return model(**data, mode="loss")

    both, first = losses(frames), losses(frames[:1])
    for name in ("image", "image_gradients", "semantics"):
        for term, value in both[name].items():
            assert torch.isclose(value, first[name][term], rtol=1e-4), (name, term)
    hide(frames[0], *fields)
    none = losses(frames)
    total = sum(value for terms in none.values() for value in terms.values())
    assert none["semantics"]["ce"] == 0 and none["image"]["l2"] == 0 and none["image_gradients"]["l1"] == 0
    total.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_predictions_come_with_the_targets_that_training_would_make():
    model = whole(normals=ALL["normals"]).eval()
    frames = batch_of(model)
    hide(frames[0], NORMALS)
    data = model.data_preprocessor(pseudo_collate(frames), False)
    with torch.no_grad():
        made, given = model(**data, mode="predict")
    assert given.get("gt_normals").equal(frames[1]["data_samples"].get("gt_normals"))
    found = made.get("gt_normals").norm(dim=0) > 0
    assert 0.02 < found.float().mean() < (made.get("gt_depth") > 0).float().mean() + 1e-6
    exact = StreetWorld(length=2, size=(48, 96), targets=(NORMALS,))[0]["data_samples"].get("gt_normals")
    cosine = (made.get("gt_normals") * exact).sum(dim=0)[found & (exact.norm(dim=0) > 0)]
    assert torch.rad2deg(cosine.clamp(-1, 1).acos()).median() < 12


def test_strange_labels_are_named_with_their_file(tmp_path):
    row = whole(**ALL).network.tasks["semantics"].field
    file = tmp_path / "0000000005.png"
    labels = np.array([[0, 18, 255], [7, 26, 3]], dtype=np.uint8)
    cv2.imwrite(str(file), labels)
    with pytest.raises(DataError, match=r"0000000005.png holds class 26; expected 0 to 18, or 255.*label ids"):
        read_map(file, row)
    labels[1, 1] = 2
    cv2.imwrite(str(file), labels)
    assert read_map(file, row).max() == 255
    with pytest.raises(ConfigError, match="classes"):
        whole(semantics={"type": "SemanticsTask", "classes": 1})
