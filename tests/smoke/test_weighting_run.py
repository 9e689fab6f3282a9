"""Weightings in whole trainings: resumed, in two processes, with the other switches, compiled, and logged."""

import json
import subprocess
import sys
import textwrap

import pytest
import torch
from smoke.test_processes import Forked
from support import kitti_tree, small_network, small_run, sparse_map

from mtdc import ConfigError, DepthSample
from mtdc.commands import main
from mtdc.engine.checkpoint import last_checkpoint, read_checkpoint
from mtdc.model import build_model

MODULE = """
    from mmengine.hooks import Hook


    class Stop(Hook):
        priority = "LOWEST"

        def __init__(self, after_step=None):
            self.after_step = after_step

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter + 1 == self.after_step:
                raise KeyboardInterrupt
"""
CONFIG = """
    _base_ = '{{{{$MTDC_CONFIGS:configs}}}}/aux_image_kitti.py'
    model = dict(weighting=dict(_delete_=True, {weighting}))
    custom_hooks = [
        dict(type='parts_of_test_weighting_run.Stop', after_step=None),
        dict(type='GradientLogHook', interval={log})]
    default_hooks = dict(checkpoint=dict(by_epoch=False, interval=3, max_keep_ckpts=-1))
    baselines = None
"""
#: Three batches of two an epoch, in two processes of one; a network that is quickly compiled.
SMALL = {
    "model.network.encoder.kernels": "(3,)",
    "model.network.encoder.multiples": "(1,2)",
    "model.network.encoder.strides": "(2,2)",
    "model.network.trunk.strides": "(2,2)",
    "model.network.trunk.multiples": "(2,1)",
}
NO_LOG = 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("weighting")
    kitti_tree(root / "data", "train", frames=6)
    kitti_tree(root / "data", "val", frames=2, drive=2)
    (root / "parts_of_test_weighting_run.py").write_text(textwrap.dedent(MODULE))
    return root


def arguments(folder, weighting, name, *more, log=NO_LOG, **options):
    config = folder / f"{name.split('_')[0]}.py"
    config.write_text(textwrap.dedent(CONFIG.format(weighting=weighting, log=log)))
    choice = small_run(**{**SMALL, "train_cfg.max_epochs": 2, **options})
    return ["train", str(config), "--data-root", str(folder / "data"), "--work-dir", str(folder / name), *more, *choice]


def logged(work_dir):
    """``{step: values}``; a step that was made twice must have one set."""
    found = {}
    for file in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for row in map(json.loads, file.read_text().splitlines()):
            if "lr" in row:
                values = {key: value for key, value in row.items() if "time" not in key and "grad_" not in key}
                assert found.setdefault(row["step"], values) == values
    return found


def same_weights(first, second):
    one, two = (read_checkpoint(last_checkpoint(path)) for path in (first, second))
    assert one["meta"]["iter"] == two["meta"]["iter"] == 6
    assert [key for key, value in one["state_dict"].items() if not torch.equal(value, two["state_dict"][key])] == []
    return one["state_dict"]


@pytest.mark.parametrize(
    ("weighting", "state"),
    [
        ("type='GradVac'", "likeness"),
        ("type='DWA', period=1", "history"),
        ("type='RandomWeighting'", "steps"),
        ("type='GradNorm', weights=dict(depth=1.0, image=1e-3)", "learned"),
        ("type='NashMTL'", "last"),
        ("type='UncertaintyWeighting', weights=dict(depth=1e-2, image=1e-4)", "scalarizer.log_var"),
        ("type='PCGrad', gramian_at='parameters'", "steps"),
    ],
)
def test_a_resumed_run_is_the_uninterrupted_one(weighting, state, folder):
    name = weighting.split("'")[1]
    assert main(arguments(folder, weighting, f"{name}_whole")) == 0
    stopped = {"custom_hooks.0.after_step": 5}
    assert main(arguments(folder, weighting, f"{name}_parts", **stopped)) == 130
    assert last_checkpoint(folder / f"{name}_parts").name == "iter_3.pth"
    assert main(arguments(folder, weighting, f"{name}_parts", "--resume")) == 0
    end = same_weights(folder / f"{name}_whole", folder / f"{name}_parts")
    steps = [logged(folder / f"{name}_{part}") for part in ("whole", "parts")]
    assert steps[0] == steps[1]
    assert set(steps[0]) == set(range(1, 7))
    before = read_checkpoint(folder / f"{name}_whole" / "iter_3.pth")["state_dict"]
    assert not torch.equal(end[f"weighting.{state}"], before[f"weighting.{state}"]), "the state must have moved"


@pytest.mark.parametrize(
    ("weighting", "options"),
    [
        ("type='GradVac'", {}),
        ("type='NashMTL', gramian_at='parameters'", {}),
        ("type='UncertaintyWeighting', weights=dict(depth=1e-2, image=1e-4)", {}),
        ("type='GradNorm', weights=dict(depth=1.0, image=1e-3)", {"optim_wrapper.accumulative_counts": 2}),
    ],
)
def test_two_processes_train_as_one_on_the_same_global_batch(weighting, options, folder):
    name = "two" + weighting.split("'")[1]
    common = {"optim_wrapper.optimizer.type": "SGD", "optim_wrapper.optimizer.lr": 1e-5, **options}
    assert main(arguments(folder, weighting, f"{name}_one", log=2, **common)) == 0
    both = {**common, "train_dataloader.batch_size": 1, "sync_batch_norm": True}
    two = Forked(folder, *arguments(folder, weighting, f"{name}_both", "--launcher", "pytorch", log=2, **both))
    assert two.wait() == [0, 0], two.said()
    first, second = (read_checkpoint(last_checkpoint(folder / f"{name}_{part}"))["state_dict"] for part in ("one", "both"))
    start = read_checkpoint(folder / f"{name}_one" / "iter_3.pth")["state_dict"]
    moved = [key for key in first if first[key].is_floating_point() and (first[key] - start[key]).abs().max() > 1e-7]
    assert len(moved) > 10
    for key in moved:
        assert (first[key] - second[key]).norm() < 2e-2 * (first[key] - start[key]).norm() + 1e-9, key
    steps = [logged(folder / f"{name}_{part}") for part in ("one", "both")]
    for number, values in steps[0].items():
        for key in ("depth/weight", "image/weight"):
            assert steps[1][number][key] == pytest.approx(values[key], rel=1e-2), (number, key)


def test_all_switches_with_a_rule_of_gradients(folder):
    options = {
        "model.precision": "bfloat16",
        "optim_wrapper.accumulative_counts": 2,
        "optim_wrapper.clip_grad.max_norm": 0.5,
        "ema.momentum": 0.3,
        "compile.backend": "aot_eager",
    }
    assert main(arguments(folder, "type='CAGrad'", "switches_whole", log=1, **options)) == 0
    end = read_checkpoint(last_checkpoint(folder / "switches_whole"))
    assert int(end["state_dict"]["weighting.steps"]) == 6
    rows = logged(folder / "switches_whole")
    assert all(max(values["depth/weight"], values["image/weight"]) > 0.51 for values in rows.values()), "CAGrad must act"
    parts = {**options, "custom_hooks.0.after_step": 4}
    assert main(arguments(folder, "type='CAGrad'", "switches_parts", log=1, **parts)) == 130
    assert main(arguments(folder, "type='CAGrad'", "switches_parts", "--resume", log=1, **options)) == 0
    same_weights(folder / "switches_whole", folder / "switches_parts")


def test_the_log_of_gradients_changes_nothing_and_is_drawn(folder, repository, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(repository / "tools"))
    import plot_gradients

    weighting = "type='FixedWeighting', weights=dict(depth=1.0, image=1e-4)"
    assert main(arguments(folder, weighting, "quiet")) == 0
    assert main(arguments(folder, weighting, "told", log=2)) == 0
    same_weights(folder / "quiet", folder / "told")
    assert logged(folder / "quiet") == logged(folder / "told")
    curves = plot_gradients.read_curves(folder / "told")
    assert set(curves["/grad_norm"]) == {"depth", "image"}
    assert set(curves["/grad_cosine"]) == {"image"}
    lengths = [curves["/grad_norm"]["depth"][step] for step in range(1, 7)]
    assert lengths[0] == lengths[1] != lengths[2] == lengths[3] != lengths[4], "every second step has a new value"
    assert sorted(curves["/weight"]["image"]) == [1, 2, 3, 4, 5, 6]
    assert plot_gradients.main([str(folder / "told"), "--out", str(folder / "plot.png")]) == 0
    assert (folder / "plot.png").read_bytes().startswith(b"\x89PNG")
    (folder / "empty").mkdir()
    for path, message in ((folder / "no", "no such folder"), (folder / "empty", "no log")):
        with pytest.raises(SystemExit):
            plot_gradients.main([str(path), "--out", str(folder / "other.png")])
        assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (folder / "other.png").exists()


def model(weighting, backend=None, **network):
    torch.manual_seed(0)
    parts = {
        "encoder": {"type": "MultiKernelEncoder", "kernels": (3,), "multiples": (1, 2), "strides": (2, 2)},
        "trunk": {"type": "TransposedConvTrunk", "strides": (2, 2), "multiples": (2, 1)},
    }
    built = build_model({"width": 2, "network": small_network(**{**parts, **network}), "weighting": weighting}).train()
    if backend is not None:
        built.compile_network(backend=backend)
    return built


def gradients(built):
    """Logged values and gradients of one step."""
    samples = []
    for number in range(2):
        sample = DepthSample()
        sample.gt_depth = sparse_map(17, 23, batch=1, density=0.4, seed=number)[0]
        sample.gt_image = 255 * torch.rand(1, 17, 23, generator=torch.Generator().manual_seed(number))
        samples.append(sample)
    total, values = built.parse_losses(built({"sparse_depth": sparse_map(17, 23)}, samples, mode="loss"))
    total.backward()
    return values, [parameter.grad for parameter in built.network.parameters()]


@pytest.mark.parametrize("at", ["features", "parameters"])
def test_a_compiled_network_has_the_same_weights_and_gradients(at):
    """In one graph the features would be beside the losses and not before them: no loss would depend on them."""
    results = []
    for backend in (None, "aot_eager"):
        built = model({"type": "MGDA", "normalize": True, "gramian_at": at}, backend)
        built.gradient_log = "depth"
        results.append(gradients(built))
    torch._dynamo.reset()
    (plain, expected), (compiled, found) = results
    assert float(plain["depth/weight"]) != 1
    for key, value in plain.items():
        assert float(compiled[key]) == pytest.approx(float(value), rel=1e-5), key
    for one, two in zip(expected, found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_one_graph_and_gradients_inside_it_exclude_each_other():
    with pytest.raises(ConfigError, match="fullgraph"):
        model({"type": "PCGrad"}).compile_network(backend="aot_eager", fullgraph=True)
    model({"type": "FixedWeighting"}).compile_network(backend="aot_eager", fullgraph=True)


@pytest.mark.parametrize("sharing", [{"type": "PADNet", "stage": 0}, {"type": "HardSharing"}, {"type": "NoSharing"}])
@pytest.mark.parametrize("at", ["features", "parameters"])
def test_with_other_sharings(sharing, at):
    values, found = gradients(model({"type": "IMTLG", "gramian_at": at}, sharing=sharing))
    assert float(values["depth/weight"]) + float(values["image/weight"]) == pytest.approx(1, rel=1e-5)
    assert all(torch.isfinite(one).all() for one in found)


def test_a_network_without_shared_features_is_refused_when_it_is_built():
    network = {"type": "NormalizedConvNetwork", "tasks": {"depth": {"losses": {"l2": {"type": "L2"}}}}}
    with pytest.raises(ConfigError, match=r"NormalizedConvNetwork has none: set model\.weighting\.gramian_at='parameters'"):
        build_model({"network": network, "weighting": {"type": "PCGrad"}})
    built = build_model({"network": network, "weighting": {"type": "PCGrad", "gramian_at": "parameters"}}).train()
    built.gradient_log = "depth"
    sample = DepthSample()
    sample.gt_depth = sparse_map(17, 23, batch=1, density=0.4)[0]
    _, values = built.parse_losses(built({"sparse_depth": sparse_map(17, 23, batch=1)}, [sample], mode="loss"))
    assert float(values["depth/grad_norm"]) > 0
    assert float(values["depth/weight"]) == 1


def test_torchjd_is_imported_where_a_rule_is_built(repository):
    code = "import sys, mtdc.model, mtdc.weighting.gradients as _; print([m for m in sys.modules if m in ('torchjd', 'cvxpy')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=repository)
    assert done.stdout.strip() == "[]"
