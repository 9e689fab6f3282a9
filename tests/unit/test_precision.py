"""The choice of precision: by time, kept by a resumed run, and without an effect on what the seed repeats."""

import json

import pytest
import torch
from support import small_network, sparse_map

from mtdc import ConfigError
from mtdc.engine import precision, runs
from mtdc.engine.config import load_config
from mtdc.model import build_model


def config(**changes):
    weighting = {"type": "FixedWeighting", "weights": {"depth": 1.0, "image": 1e-4}}
    return {
        "width": 1,
        "network": small_network(),
        "weighting": weighting,
        "precision": "auto",
        "channels_last": "auto",
        **changes,
    }


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [([1.0, 0.95, 0.92], ("float32", False)), ([1.0, 0.5, 0.48], ("float32", True)), ([1.0, 0.5, 0.2], ("bfloat16", True)),
     ([1.0, 3.0, 0.5], ("bfloat16", True)), ([1.0, 2.0, 9.0], ("float32", False))],
)  # fmt: skip
def test_the_clearly_fastest_wins(seconds, expected):
    chosen = precision.fastest(seconds)
    assert (chosen["precision"], chosen["channels_last"]) == expected


def test_choice_is_noted_and_kept_by_a_resumed_run(tmp_path, monkeypatch):
    trials = iter([[1.0, 0.9, 0.1]])
    monkeypatch.setattr(precision, "measure", lambda configs: next(trials))
    first = config()
    precision.resolve(first, tmp_path, resume=False)
    assert (first["precision"], first["channels_last"]) == ("bfloat16", True)
    assert json.loads((tmp_path / "precision.json").read_text())["chosen"] == {"precision": "bfloat16", "channels_last": True}
    again = config()
    precision.resolve(again, tmp_path, resume=True)  # would run out of trials if it measured
    assert (again["precision"], again["channels_last"]) == ("bfloat16", True)


def test_what_is_set_is_not_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(
        precision, "measure", lambda configs: [1.0 if cfg["precision"] == "float32" else 0.1 for cfg in configs]
    )
    fixed = config(precision="float32")
    precision.resolve(fixed, tmp_path, resume=False)
    assert fixed["precision"] == "float32"
    none = config(precision="float32", channels_last=False)
    precision.resolve(none, tmp_path / "none", resume=False)
    assert not (tmp_path / "none").exists()


def test_measuring_runs_and_leaves_the_random_state(tmp_path):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    precision.resolve(config(), tmp_path, resume=False)
    assert torch.equal(torch.get_rng_state(), state)
    trials = json.loads((tmp_path / "precision.json").read_text())["trials"]
    assert trials[0]["relative_time"] == 1
    assert len(trials) == 3


def test_other_work_on_the_machine_does_not_decide(monkeypatch):
    """A slow spell of two steps' length falls on all candidates in turn, and on none alone."""
    clock = {"now": 0.0, "steps": 0}

    class Model(torch.nn.Module):
        network = None

        def __init__(self, seconds):
            super().__init__()
            self.seconds, self.value = seconds, torch.nn.Parameter(torch.zeros(()))

        def forward(self, inputs):
            clock["steps"] += 1
            clock["now"] += self.seconds * (10 if clock["steps"] in (4, 5) else 1)
            return {"depth": self.value + 0}

    monkeypatch.setattr(precision, "build_model", lambda cfg: Model(cfg["seconds"]))
    monkeypatch.setattr(precision, "example_inputs", lambda *_: {})
    monkeypatch.setattr(precision.time, "perf_counter", lambda: clock["now"])
    assert precision.measure([{"seconds": 1.0}, {"seconds": 2.0}, {"seconds": 3.0}]) == pytest.approx([1.0, 2.0, 3.0])


def test_float16_is_for_gpus(tmp_path):
    """A CPU computes the same model in float32, and trains none."""
    model, plain = (build_model(config(precision=name)).eval() for name in ("float16", "float32"))
    plain.load_state_dict(model.state_dict())
    inputs = {"sparse_depth": sparse_map(32, 48)}
    with torch.no_grad():
        assert torch.equal(model(inputs)["depth"], plain(inputs)["depth"])
    assert model.computed_precision("cuda") == torch.float16
    if not torch.cuda.is_available():
        cfg = load_config("aux_image_kitti", {"model.precision": "float16", "model.width": 2})
        with pytest.raises(ConfigError, match="'float16' is for training on a GPU.*model.precision=bfloat16"):
            runs.train(cfg, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_auto_outside_training_is_float32():
    model = build_model(config())
    assert model.precision == torch.float32
    with pytest.raises(ConfigError, match=r"model.precision='bf16' is not known. Did you mean 'bfloat16'|Known"):
        build_model(config(precision="bf16"))
    with pytest.raises(ConfigError, match=r"channels_last must be True, False or 'auto'"):
        build_model(config(channels_last="yes"))
