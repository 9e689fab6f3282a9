import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from torch import nn

from mtdc.contracts import Network, Task, TaskOutput
from mtdc.engine.checkpoint import save_weights
from mtdc.engine.config import load_config
from mtdc.engine.runs import load_trained
from mtdc.errors import ConfigError, DataError
from mtdc.infer import Completer
from mtdc.model import MultiTaskModel, build_model
from mtdc.structures import DEPTH, DEPTH_CONFIDENCE, GRAY_IMAGE

CLASSICAL = "model = dict(network=dict(type='ClassicalNetwork', method=dict(type='Nearest')))\n"
MULTI_TASK = """
model = dict(
    width=2,
    network=dict(
        type='MultiTaskNetwork',
        representation=dict(type='SparseDepth'),
        encoder=dict(type='MultiKernelEncoder'),
        trunk=dict(type='TransposedConvTrunk'),
        sharing=dict(type='SumSharing'),
        tasks=dict(depth=dict(type='DepthTask'), image=dict(type='ImageTask'))))
"""


class PlainTask(Task):
    def __init__(self, field):
        nn.Module.__init__(self)
        self.field = field
        self.losses = nn.ModuleDict()


class EchoNetwork(Network):
    """Depth from all that it is given, and a note of what that was."""

    def __init__(self, needs=("sparse_depth",), field=DEPTH, answer=None):
        super().__init__()
        self.needs = needs
        self.tasks = nn.ModuleDict({field.name: PlainTask(field)})
        self.answer = answer
        self.seen = {}

    def outputs(self, inputs):
        self.seen = {"training": self.training, "grad": torch.is_grad_enabled(), **inputs}
        depth = inputs["sparse_depth"] + 1 if self.answer is None else torch.full_like(inputs["sparse_depth"], self.answer)
        return {"depth": TaskOutput(depth, {"depth": depth})}, ()

    def strip(self, keep):
        pass


def echo(**arguments):
    return Completer(MultiTaskModel(network=EchoNetwork(**arguments)))


def points(height=5, width=7, depth=8.0):
    sparse = np.zeros((height, width), np.float32)
    sparse[height // 2, width // 2] = depth
    return sparse


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 7), (375, 1242), (1216, 1936)])
def test_any_size_comes_back_as_float_metres(size):
    sparse = points(*size)
    dense = echo()(sparse)
    assert dense.shape == size and dense.dtype == np.float32
    np.testing.assert_array_equal(dense, sparse + 1)


@pytest.mark.parametrize(
    "give",
    [
        np.float64,
        np.float16,
        np.asfortranarray,
        torch.from_numpy,
        lambda a: torch.from_numpy(a).bfloat16(),
        lambda a: a[::-1, ::-1],
    ],
)
def test_floats_of_any_kind_are_taken(give):
    np.testing.assert_array_equal(echo()(give(points())), points() + 1)


def test_runs_in_evaluation_mode_without_gradients_and_leaves_the_input_alone():
    sparse = points()
    completer = echo()
    completer(sparse)
    assert completer.model.network.seen["training"] is False
    assert completer.model.network.seen["grad"] is False
    np.testing.assert_array_equal(sparse, points())


@pytest.mark.parametrize(
    ("sparse", "said"),
    [
        (points()[None], r"\(1, 5, 7\).*without batch"),
        (points().ravel(), r"\(35,\).*\(H, W\)"),
        (np.zeros((0, 7), np.float32), r"\(0, 7\).*\(H, W\)"),
        ((points() * 256).astype(np.uint16), "uint16.*by 256.*by 1000"),
        (points().astype(np.int64), "int64"),
        (points() > 0, "bool"),
        (points().tolist(), "list"),
        (np.where(points() > 0, points(), np.nan), "34 values that are NaN"),
        (points(depth=np.inf), "infinite"),
        (-points(), r"negative depth \(-8\)"),
        (points() * 1000, "8000.*millimetres"),
        (np.zeros((5, 7)), "no measured point.*7x5"),
        (np.full((5, 7), 1e-60), "no measured point"),
    ],
)
def test_depth_that_is_none_is_refused_in_one_line(sparse, said):
    with pytest.raises(DataError, match=said) as error:
        echo()(sparse)
    assert "\n" not in str(error.value)


def test_inputs_that_are_needed_reach_the_network():
    completer = echo(needs=("sparse_depth", "image", "intrinsics"))
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    intrinsics = np.array([[700, 0, 3], [0, 710, 2], [0, 0, 1]])
    completer(points(), image, intrinsics)
    seen = completer.model.network.seen
    assert seen["image"].shape == (1, 3, 5, 7) and seen["image"].dtype == torch.float32
    assert seen["image"][0, :, 2, 4].tolist() == image[2, 4].tolist()
    assert seen["intrinsics"].tolist() == [intrinsics.tolist()]


def test_inputs_that_are_not_needed_are_not_looked_at():
    completer = echo()
    completer(points(), image="no image at all", intrinsics=3)
    assert set(completer.model.network.seen) == {"training", "grad", "sparse_depth"}


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (None, r"needs image.*\(H, W, 3\)"),
        (np.zeros((3, 5, 7)), "channels last"),
        (np.zeros((10, 14, 3)), "same camera, crop and size"),
        (np.zeros((5, 7)), r"\(5, 7, 3\)"),
        (np.full((5, 7, 3), 0.5), "multiply by 255"),
        (np.full((5, 7, 3), 300.0), "300; expected RGB"),
        (np.full((5, 7, 3), np.nan), "0..255"),
    ],
)
def test_image_that_is_missing_or_wrong_is_refused(image, said):
    with pytest.raises(DataError, match=said):
        echo(needs=("sparse_depth", "image"))(points(), image)


@pytest.mark.parametrize(
    ("intrinsics", "said"),
    [
        (None, "needs intrinsics"),
        (np.eye(3), "identity"),
        (np.eye(3, dtype=int), "identity"),
        (np.array([["a"] * 3] * 3), "numbers"),
        (np.array([[0.6, 0, 0.5], [0, 1.9, 0.5], [0, 0, 1]]), "parts of the image's size"),
        (np.array([[700, 0, 600], [3, 700, 170], [0, 0, 1.0]]), "rows"),
        (np.eye(4), r"\(4, 4\)"),
        (np.array([[700, 0, 0], [0, 700, 0], [600, 170, 1.0]]), "rows"),
        (np.full((3, 3), np.nan), "NaN"),
    ],
)
def test_intrinsics_that_are_missing_or_wrong_are_refused(intrinsics, said):
    with pytest.raises(DataError, match=said):
        echo(needs=("sparse_depth", "intrinsics"))(points(), intrinsics=intrinsics)


@pytest.mark.parametrize("answer", [float("nan"), float("inf"), -1.0])
def test_an_answer_that_is_no_depth_is_not_handed_out(answer):
    with pytest.raises(DataError, match="35 of 35 pixels"):
        echo(answer=answer)(points())


def test_complete_gives_the_same_depth_and_where_there_is_evidence():
    sparse = np.zeros((40, 60), np.float32)
    sparse[10:30:4, 20:40:4] = 8.0
    completer = echo()
    completed = completer.complete(torch.from_numpy(sparse))
    np.testing.assert_array_equal(completed.depth, completer(sparse))
    assert completed.valid.dtype == bool and completed.valid.shape == sparse.shape
    assert completed.valid[sparse > 0].all() and not completed.valid[:10].any() and not completed.valid[27:].any()
    assert not completed.valid[:, :18].any() and not completed.valid[:, 38:].any()
    near = completer.complete(sparse, max_distance_px=1)
    assert near.valid[10, 21] and not near.valid[10, 22] and not near.valid[11, 21]


def test_measured_points_are_kept_on_request_alone():
    sparse = points()
    assert echo().complete(sparse).depth[2, 3] == 9.0
    kept = echo().complete(sparse, keep_measured=True).depth
    assert kept[2, 3] == 8.0 and kept[0, 0] == 1.0 and kept.dtype == np.float32


def test_the_package_offers_the_completer_and_stays_light():
    """`import mtdc` must not bring the training engine, and `mtdc.Completer` is the class of mtdc.infer."""
    code = (
        "import sys, mtdc; heavy = {'mtdc.infer', 'mtdc.model', 'mtdc.engine', 'mmengine.runner', 'cv2', 'timm'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "from mtdc import Completer; from mtdc.infer import Completer as own; assert Completer is own;"
        "assert 'Completer' in dir(mtdc)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_model_without_depth_and_unknown_device_are_refused():
    with pytest.raises(ConfigError, match="predicts image"):
        echo(field=GRAY_IMAGE)
    with pytest.raises(ConfigError, match="'cudda'"):
        Completer(MultiTaskModel(network=EchoNetwork()), device="cudda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine without a GPU is meant")
def test_missing_gpu_is_said_in_one_line():
    with pytest.raises(ConfigError, match="'cuda'") as error:
        Completer(MultiTaskModel(network=EchoNetwork()), device="cuda")
    assert "\n" not in str(error.value)


def test_method_without_weights_is_loaded_from_a_config_alone(tmp_path):
    completer = Completer.load(write(tmp_path / "nearest.py", CLASSICAL))
    generator = np.random.default_rng(0)
    sparse = np.where(generator.random((23, 41)) < 0.05, generator.uniform(2, 80, (23, 41)), 0).astype(np.float32)
    dense = completer(sparse)
    # Independent: the distance to the point that each value came from is the distance to the nearest point.
    distance = distance_transform_edt(sparse == 0)
    rows, columns = sparse.nonzero()
    for row, column in [(0, 0), (22, 40), (11, 20), (5, 33)]:
        source = (rows[sparse[rows, columns] == dense[row, column]], columns[sparse[rows, columns] == dense[row, column]])
        assert np.isclose(np.hypot(source[0] - row, source[1] - column).min(), distance[row, column])
    np.testing.assert_array_equal(dense[sparse > 0], sparse[sparse > 0])


@pytest.mark.parametrize(("config", "checkpoint"), [(CLASSICAL, "some.pth"), (MULTI_TASK, None)])
def test_weights_are_asked_for_and_refused_in_the_words_of_the_commands(tmp_path, config, checkpoint):
    path = write(tmp_path / "config.py", config)
    with pytest.raises(ConfigError) as command:
        load_trained(build_model(load_config(path).model), checkpoint and Path(checkpoint))
    with pytest.raises(ConfigError) as own:
        Completer.load(path, checkpoint)
    assert str(own.value) == str(command.value)
    assert "checkpoint" in str(own.value) and "\n" not in str(own.value)


def test_whole_and_stripped_checkpoints_complete_alike_and_serve_depth_alone(tmp_path):
    config = write(tmp_path / "network.py", MULTI_TASK)
    model = build_model(load_config(config).model)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    save_weights(model, tmp_path / "whole.pth")
    sparse = points(19, 37)
    expected = model.eval().network({"sparse_depth": torch.from_numpy(sparse)[None, None]})["depth"][0, 0].detach().numpy()
    save_weights(model.strip(), tmp_path / "stripped.pth")
    for name in ("whole.pth", "stripped.pth"):
        completer = Completer.load(config, tmp_path / name, device="cpu")
        np.testing.assert_array_equal(completer(sparse), expected)
        assert list(completer.model.network.tasks) == ["depth"]
    assert len(np.unique(expected)) > 1


def test_missing_checkpoint_and_config_are_named(tmp_path):
    config = write(tmp_path / "network.py", MULTI_TASK)
    with pytest.raises(DataError, match=r"gone\.pth"):
        Completer.load(config, tmp_path / "gone.pth")
    with pytest.raises(ConfigError, match=r"gone\.py"):
        Completer.load(tmp_path / "gone.py")


class DoubtfulNetwork(EchoNetwork):
    """Expects at each pixel the error that it is told."""

    def __init__(self, deviation):
        super().__init__()
        self.tasks["depth"].extra_fields = (DEPTH_CONFIDENCE,)
        self.deviation = torch.as_tensor(deviation, dtype=torch.float32)

    def outputs(self, inputs):
        outputs, features = super().outputs(inputs)
        outputs["depth"].fields["depth_confidence"] = self.deviation.expand_as(inputs["sparse_depth"])
        return outputs, features


def doubtful(deviation):
    return Completer(MultiTaskModel(network=DoubtfulNetwork(deviation)))


def test_a_name_that_is_near_to_none_is_not_answered_by_a_hundred():
    with pytest.raises(ConfigError) as caught:
        Completer.load("qqqqqqqq")
    assert "`mtdc zoo`" in str(caught.value) and "MTDC_ZOO=DIR" in str(caught.value) and len(str(caught.value)) < 300
    with pytest.raises(ConfigError, match=r"Did you mean 'unet_street_tiny'\?"):
        Completer.load("unet_street_tinny")


def test_the_expected_error_is_beside_the_depth_where_the_model_has_one():
    deviation = np.arange(35, dtype=np.float32).reshape(5, 7) / 8
    completed = doubtful(deviation).complete(points())
    np.testing.assert_array_equal(completed.deviation, deviation)
    np.testing.assert_array_equal(doubtful(deviation)(points()), points() + 1)  # the short form is depth alone
    assert doubtful(1.0).predicts_deviation and not echo().predicts_deviation
    assert echo().complete(points()).deviation is None


def test_a_limit_takes_pixels_out_of_valid_alone():
    deviation = np.arange(35, dtype=np.float32).reshape(5, 7) / 8
    free, limited = (doubtful(deviation).complete(points(), max_deviation_m=limit) for limit in (None, 17 / 8))
    assert free.valid[2].any() and free.valid[2, 4]  # row 2 is measured: indices 14 to 20, of which up to 17 are left
    np.testing.assert_array_equal(limited.valid, free.valid & (np.arange(35).reshape(5, 7) <= 17))
    np.testing.assert_array_equal(limited.depth, free.depth)
    np.testing.assert_array_equal(doubtful(deviation).complete(points(), max_deviation_m=np.inf).valid, free.valid)


@pytest.mark.parametrize("limit", [-0.1, float("nan"), True, "1"])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(ConfigError, match="largest deviation is .*0 or more metres"):
        doubtful(1.0).complete(points(), max_deviation_m=limit)


def test_a_limit_for_a_model_without_it_is_refused():
    with pytest.raises(ConfigError, match=r"limited to 0\.5 m: this model doesn't predict it"):
        echo().complete(points(), max_deviation_m=0.5)


@pytest.mark.parametrize("deviation", [float("nan"), float("inf"), -1.0])
def test_an_expected_error_that_is_none_is_refused(deviation):
    with pytest.raises(DataError, match=r"negative deviation at 35 of 35 pixels: its weights are damaged"):
        doubtful(deviation).complete(points())
