"""Every shipped config parses, dumps, reloads, builds and takes one training step on tiny frames that hold all it asks for."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from mtdc.data.datasets.street import StreetWorld
from mtdc.engine import runs  # noqa: F401  (registers the hooks that configs name)
from mtdc.engine.config import load_config, settings, shipped_configs
from mtdc.engine.preparation import build_optimiser, check_parts
from mtdc.model import build_model

TRAINED = [name for name in shipped_configs() if not name.startswith("classical/")]
#: (H, W) of a frame: odd, so that padding and cutting back are part of it.
SIZE = (45, 71)


def tiny(name):
    cfg = load_config(name)
    cfg.model.width = 2
    cfg.model.precision, cfg.model.channels_last = "float32", False
    return cfg


@pytest.mark.parametrize("name", shipped_configs())
def test_parses_dumps_and_reloads_as_it_was(name, tmp_path):
    cfg = load_config(name)
    cfg.dump(tmp_path / "dumped.py")
    again = Config.fromfile(tmp_path / "dumped.py", lazy_import=False)
    assert again._cfg_dict == cfg._cfg_dict
    assert settings(load_config(tmp_path / "dumped.py")) == settings(cfg)


@pytest.mark.parametrize("name", TRAINED)
def test_takes_training_steps(name):
    cfg = tiny(name)
    torch.manual_seed(0)
    model = build_model(cfg.model).train()
    check_parts(cfg, model)
    optimiser = build_optimiser(cfg, model)
    data = StreetWorld(length=2, size=SIZE, inputs=model.training_input_fields, targets=model.target_fields)
    before = copy.deepcopy(model.state_dict())
    # Two steps: some backbones start with branches scaled by 0, whose weights move from the second on.
    batch = pseudo_collate([data[0], data[1]])
    steps = [model.train_step(batch, optimiser) for _ in range(2)]
    assert all(torch.isfinite(value).all() for logged in steps for value in logged.values())
    terms = {f"{task}/{term}" for task, part in model.network.tasks.items() for term in part.losses}
    assert terms <= set(steps[0])
    # Of a task of weight 0 (a control, a gate that is closed) only what depth reads of its branch is trained.
    weights = {task: [float(logged[f"{task}/weight"]) for logged in steps] for task in model.network.tasks}
    assert any(weights["depth"])
    unweighted = [f".{task}." for task, values in weights.items() if not any(values)]
    still = [key for key, value in model.named_parameters() if torch.equal(value.detach(), before[key])]
    still = [key for key in still if not any(task in key for task in unweighted)]
    assert not still, f"training leaves {still} as they were"


@pytest.mark.parametrize("name", TRAINED)
def test_depth_stays_the_same_when_the_rest_is_stripped(name):
    torch.manual_seed(0)
    model = build_model(tiny(name).model).eval()
    data = StreetWorld(length=1, size=SIZE, inputs=model.input_fields, targets=())
    inputs = {key: value[None] for key, value in data[0]["inputs"].items()}
    with torch.no_grad():
        whole = model(inputs)["depth"]
        stripped = model.strip()(inputs)
    assert whole.shape == (1, 1, *SIZE)
    assert torch.equal(stripped["depth"], whole)
