"""Switches of training: accumulation, clipping, averaged weights, torch.compile; alone, against numbers of plain torch."""

import copy
import io
import json

import numpy as np
import pytest
import torch
from support import TREE_CROP, kitti_tree, small_network, small_run, sparse_map

from mtdc.commands import main
from mtdc.contracts import Network, TaskOutput
from mtdc.engine.config import config_hash, load_config
from mtdc.engine.switches import WindowOptimWrapper
from mtdc.infer import Completer
from mtdc.layers.conv import conv_unit
from mtdc.model import build_model
from mtdc.structures import DepthSample
from mtdc.tasks.depth import DepthTask

FRAMES = 5


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("kitti")
    kitti_tree(root, "train", frames=FRAMES)
    return kitti_tree(root, "val", frames=2, drive=2)


def train(data, folder, *more, **options):
    arguments = ["train", "aux_image_kitti", "--data-root", str(data), "--work-dir", str(folder), *more]
    return main([*arguments, *small_run(**{"baselines": None, **options})])


def checkpoint(folder, epoch):
    return torch.load(folder / f"epoch_{epoch}.pth", weights_only=True)


# ---- Accumulation


EPOCHS = 3


def line_of(seed=0):
    torch.manual_seed(seed)
    model = torch.nn.Linear(3, 1).double()
    inputs = torch.randn(EPOCHS, FRAMES, 3, dtype=torch.float64)
    return model, inputs, inputs.sum(-1, keepdim=True).square()


def error_of(model, inputs, targets):
    return (model(inputs) - targets).square().mean()


def gathering(model, counts, clip_grad=None):
    wrapper = WindowOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), counts, clip_grad)
    wrapper.epochs = EPOCHS
    wrapper.initialize_count_status(model, 0, EPOCHS * FRAMES)
    return wrapper


@pytest.mark.parametrize(("counts", "windows"), [(1, [1] * 5), (2, [2, 2, 1]), (3, [3, 2]), (5, [5]), (9, [5])])
def test_small_batches_gathered_are_the_large_batch(counts, windows):
    """Windows that end with the epoch, as steps of plain torch on batches of that size."""
    gathered, inputs, targets = line_of()
    plain = copy.deepcopy(gathered)
    wrapper = gathering(gathered, counts)
    optimiser = torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(EPOCHS):
        for i in range(FRAMES):
            wrapper.update_params(error_of(gathered, inputs[epoch, i : i + 1], targets[epoch, i : i + 1]))
        for x, y in zip(inputs[epoch].split(windows), targets[epoch].split(windows), strict=True):
            optimiser.zero_grad()
            error_of(plain, x, y).backward()
            optimiser.step()
        torch.testing.assert_close(list(gathered.parameters()), list(plain.parameters()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("done", [1, 4, 5, 7, 9])
def test_a_window_that_a_checkpoint_cuts_goes_on(done):
    whole, inputs, targets = line_of()
    steps = [(inputs[e, i : i + 1], targets[e, i : i + 1]) for e in range(EPOCHS) for i in range(FRAMES)]
    wrapper = gathering(whole, 3, {"max_norm": 0.5})
    for number, (x, y) in enumerate(steps):
        if number == done:
            file = io.BytesIO()
            torch.save({"model": whole.state_dict(), "optimiser": wrapper.state_dict()}, file)
        wrapper.update_params(error_of(whole, x, y))
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed, _, _ = line_of(seed=1)
    resumed.load_state_dict(saved["model"])
    again = gathering(resumed, 3, {"max_norm": 0.5})
    again.load_state_dict(saved["optimiser"])
    again.initialize_count_status(resumed, done, len(steps))
    for x, y in steps[done:]:
        again.update_params(error_of(resumed, x, y))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_a_scaled_loss_steps_as_a_plain_one():
    """The gradient scaler of float16, on float64 numbers: clipping sees gradients without its factor."""
    plain, inputs, targets = line_of()
    scaled = copy.deepcopy(plain)
    wrappers = [gathering(model, 2, {"max_norm": 0.1}) for model in (plain, scaled)]
    wrappers[1].scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for i in range(FRAMES):
        for model, wrapper in zip((plain, scaled), wrappers, strict=True):
            wrapper.update_params(error_of(model, inputs[0, i : i + 1], targets[0, i : i + 1]))
    torch.testing.assert_close(list(scaled.parameters()), list(plain.parameters()), rtol=1e-6, atol=1e-8)
    other = gathering(scaled, 2)
    other.scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    other.load_state_dict(wrappers[1].state_dict())
    assert other.scaler.get_scale() == 1024.0


def gradients(model, sparse, truths):
    """Of one batch; the network in evaluation mode, where batch norm mixes no frames."""
    model.zero_grad()
    samples = []
    for truth in truths:
        sample = DepthSample()
        sample.set_field(truth, "gt_depth")
        samples.append(sample)
    total, _ = model.parse_losses(model({"sparse_depth": sparse}, samples, mode="loss"))
    total.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def test_a_gathered_gradient_weighs_batches_and_a_large_batch_pixels():
    """What the docs say: the two are one where the batches have equally many known pixels, and else a mean of means."""
    network = small_network(
        tasks={"depth": {"type": "DepthTask", "losses": {"l2": {"type": "L2"}}}}, sharing={"type": "NoSharing"}
    )
    model = build_model({"width": 1, "network": network, "weighting": {"type": "FixedWeighting"}}).eval()
    sparse, truths = sparse_map(32, 48), sparse_map(32, 48, density=1.0, seed=1)
    one_by_one = torch.stack([gradients(model, sparse[i : i + 1], truths[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(one_by_one.mean(0), gradients(model, sparse, truths), rtol=1e-3, atol=1e-3)
    truths[1, :, :24] = 0  # a quarter of the pixels is left
    one_by_one = torch.stack([gradients(model, sparse[i : i + 1], truths[i : i + 1]) for i in range(2)])
    pooled = gradients(model, sparse, truths)
    torch.testing.assert_close(0.8 * one_by_one[0] + 0.2 * one_by_one[1], pooled, rtol=1e-3, atol=1e-3)
    assert (one_by_one.mean(0) - pooled).norm() > 0.05 * pooled.norm()


# ---- Whole runs


def test_accumulation_changes_steps_and_no_schedule(data, tmp_path):
    """Five batches an epoch by two: three steps; the learning rate falls by the epoch as without."""
    options = {"train_dataloader.batch_size": 1, "param_scheduler.0.step_size": 1}
    rates = {}
    for counts in (1, 2):
        folder = tmp_path / str(counts)
        assert train(data, folder, **options, **{"optim_wrapper.accumulative_counts": counts}) == 0
        steps = [int(state["step"]) for state in checkpoint(folder, 2)["optimizer"]["state"].values()]
        assert set(steps) == {2 * {1: 5, 2: 3}[counts]}
        (log,) = folder.glob("*/vis_data/scalars.json")
        rates[counts] = [line["lr"] for line in map(json.loads, log.read_text().splitlines()) if "depth/l2" in line]
    assert rates[1] == rates[2] == pytest.approx([1e-3] * 5 + [5e-4] * 5)


def test_averaged_weights_are_evaluated_and_saved(data, tmp_path):
    """One step an epoch, so that the trained weights of each step are in a checkpoint, and the average is by hand."""
    momentum, epochs = 0.25, 3
    options = {"train_dataloader.batch_size": 1, "optim_wrapper.accumulative_counts": 5, "train_cfg.max_epochs": epochs}
    assert train(data, tmp_path / "run", **options, **{"ema.momentum": momentum}) == 0
    saved = [checkpoint(tmp_path / "run", epoch) for epoch in (1, 2, 3)]
    trained = [{key.removeprefix("module."): value for key, value in one["ema_state_dict"].items()} for one in saved]
    assert train(data, tmp_path / "plain", **options) == 0
    plain = checkpoint(tmp_path / "plain", epochs)["state_dict"]
    assert all(torch.equal(plain[key], trained[-1][key]) for key in plain), "averaging must not change what is trained"
    for key, value in saved[-1]["state_dict"].items():
        if not value.is_floating_point():
            assert torch.equal(value, trained[-1][key])
            continue
        average = trained[0][key].double()
        for weights in trained[1:]:
            average = (1 - momentum) * average + momentum * weights[key].double()
        torch.testing.assert_close(value.double(), average, rtol=1e-5, atol=1e-6)
    arguments = ["test", str(tmp_path / "run" / "aux_image_kitti.py"), str(tmp_path / "run" / "epoch_3.pth"), "--split", "val"]
    assert main([*arguments, "--data-root", str(data), "--work-dir", str(tmp_path / "test")]) == 0
    results = {name: json.loads((tmp_path / name / "result.json").read_text()) for name in ("run", "test", "plain")}
    assert results["run"]["per_frame"] == results["test"]["per_frame"]
    assert results["run"]["rmse"] != results["plain"]["rmse"]
    assert results["run"]["protocol"]["switched_on"] == {"accumulative_counts": 5, "ema": {"momentum": momentum}}
    assert results["run"]["protocol"]["config_sha256"] != results["plain"]["protocol"]["config_sha256"]


ALL_ON = {
    "model.precision": "bfloat16",
    "model.channels_last": True,
    "train_dataloader.batch_size": 1,
    "optim_wrapper.accumulative_counts": 2,
    "optim_wrapper.clip_grad.max_norm": 0.5,
    "ema.momentum": 0.2,
    "compile.backend": "aot_eager",
}


#: A network that is compiled quickly.
SLIGHT = {
    "model.network.encoder.kernels": "(3,)",
    "model.network.encoder.multiples": "(1,2)",
    "model.network.encoder.strides": "(2,2)",
    "model.network.trunk.strides": "(2,2)",
    "model.network.trunk.multiples": "(2,1)",
    "train_cfg.max_epochs": 1,
}


def test_a_compiled_run_saves_strips_completes_and_goes_on_as_others_do(data, tmp_path):
    """A checkpoint tells nothing of compiling: its names are the model's own, and a run without goes on from it."""
    folder = tmp_path / "run"
    assert train(data, folder, **SLIGHT, **{"compile.backend": "aot_eager"}) == 0
    config, weights, stripped = folder / "aux_image_kitti.py", folder / "epoch_1.pth", tmp_path / "stripped.pth"
    assert list(checkpoint(folder, 1)["state_dict"]) == list(build_model(load_config(config).model).state_dict())
    assert main(["strip", str(config), str(weights), "--out", str(stripped), "--size", "64", "96"]) == 0
    sparse = sparse_map(*TREE_CROP)[0, 0].numpy()
    depths = [Completer.load(str(config), str(path))(sparse) for path in (weights, stripped)]
    np.testing.assert_array_equal(*depths)
    assert train(data, folder, "--resume", **{**SLIGHT, "train_cfg.max_epochs": 2}) == 0
    assert json.loads((folder / "result.json").read_text())["protocol"]["checkpoint"] == "epoch_2.pth"


def test_compiling_compiles(data, tmp_path, monkeypatch):
    """The backend is called, once for the network's one size, and what it returns is what trains."""
    calls = []

    def noting(function, **options):
        calls.append(options)

        def called(inputs):
            calls.append("step")
            return function(inputs)

        return called

    monkeypatch.setattr(torch, "compile", noting)
    assert train(data, tmp_path / "run", **SLIGHT, compile=True) == 0
    assert calls == [{}, "step", "step"]


class OneConvolution(Network):
    """The least that has everything a compiler meets: inputs by name, batch norm, a task."""

    def __init__(self, width):
        super().__init__()
        self.unit = conv_unit(1, width)
        self.tasks = torch.nn.ModuleDict({"depth": DepthTask(width, 1, width, {"l2": {"type": "L2"}})})

    def outputs(self, inputs):
        features = self.unit(inputs["sparse_depth"])
        raw, _ = self.tasks["depth"](features)
        return {"depth": TaskOutput(raw, self.tasks["depth"].decode(raw.float(), None))}, (features,)

    def strip(self, keep):
        pass


def test_inductor_gives_the_gradients_of_plain_torch():
    model = build_model({"network": OneConvolution(1), "weighting": {"type": "FixedWeighting"}}).train()
    sparse, truths = sparse_map(32, 48), sparse_map(32, 48, density=1.0, seed=1)
    plain = gradients(model, sparse, truths)
    model.compile_network()
    compiled = gradients(model, sparse, truths)
    assert (compiled - plain).norm() < 1e-4 * plain.norm()
    assert not torch.equal(compiled, plain), "other kernels round otherwise: was anything compiled?"


# ---- What a person writes


def test_switches_are_set_from_the_command_line():
    cfg = load_config("aux_image_kitti", ALL_ON)
    assert cfg.ema == {"momentum": 0.2}
    assert cfg.compile == {"backend": "aot_eager"}
    assert cfg.optim_wrapper.clip_grad == {"max_norm": 0.5}
    two = load_config("aux_image_kitti", {"ema.momentum": 0.1, "ema.begin_epoch": 2, "compile": True})
    assert two.ema == {"momentum": 0.1, "begin_epoch": 2}
    assert two.compile is True
    assert load_config("unet_street", {"optim_wrapper.clip_grad": None}).optim_wrapper.clip_grad is None


def test_a_hash_tells_what_changes_the_weights():
    plain = load_config("aux_image_kitti")
    assert config_hash(load_config("aux_image_kitti", {"compile": True})) == config_hash(plain)
    changes = [
        {"ema.momentum": 0.1}, {"ema.momentum": 0.2}, {"sync_batch_norm": True}, {"model.precision": "bfloat16"},
        {"optim_wrapper.accumulative_counts": 2}, {"optim_wrapper.clip_grad.max_norm": 1.0},
    ]  # fmt: skip
    hashes = [config_hash(load_config("aux_image_kitti", change)) for change in changes]
    assert len({config_hash(plain), *hashes}) == 1 + len(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ema.momentun": 0.1}, "ema: unexpected key 'momentun'. Did you mean 'momentum'"),
        ({"ema.momentum": 1.5}, "ema.momentum must be a number between 0 and 1, not 1.5"),
        ({"ema": 0.1}, "ema must be None or a dict such as dict(momentum=0.001), not 0.1"),
        ({"ema.begin_epoch": 3}, "ema.begin_epoch=3 is after the end: train_cfg.max_epochs=2"),
        ({"ema.interval": 0}, "ema.interval must be a whole number from 1 on"),
        ({"ema.momentum": 0.1, "custom_hooks.2.type": "EMAHook", "custom_hooks.2.frames": None}, "custom_hooks"),
        ({"compile.backend": "aot_eagr"}, "compile.backend='aot_eagr' is not known. Did you mean 'aot_eager'"),
        ({"compile.backnd": "inductor"}, "compile: unexpected key 'backnd'. Did you mean 'backend'"),
        ({"compile": 3}, "compile must be True, False or a dict"),
        ({"optim_wrapper.accumulative_counts": 0}, "optim_wrapper.accumulative_counts must be a whole number from 1 on"),
        ({"optim_wrapper.clip_grad.max_nrm": 1}, "optim_wrapper.clip_grad: unexpected key 'max_nrm'. Did you mean 'max_norm'"),
        ({"optim_wrapper.clip_grad.norm_type": 1}, "optim_wrapper.clip_grad.max_norm must be a number above 0, not None"),
        ({"optim_wrapper.clip_grad": 1.0}, "optim_wrapper.clip_grad must be None or a dict such as dict(max_norm=10)"),
        ({"optim_wrapper.clip_grad.type": "nrm"}, "optim_wrapper.clip_grad.type='nrm' is not known. Did you mean 'norm'"),
        ({"optim_wrapper.type": "AmpOptimWrapper"}, "precision is the model's here"),
        ({"sync_batch_norm": "torch"}, "sync_batch_norm must be True or False, not 'torch'"),
        ({"emma.momentum": 0.1}, "has no 'emma'. Did you mean 'ema'"),
    ],
)  # fmt: skip
def test_a_switch_set_wrong_is_said_before_training(change, message, data, tmp_path, capsys):
    assert train(data, tmp_path / "run", **change) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
    assert not (tmp_path / "run").exists()


def test_inductor_without_a_compiler_is_said_before_training(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert train(data, tmp_path / "run", compile=True) == 2
    assert "needs a C++ compiler" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
