"""The page of the losses: its example trains a step, and it names every loss and no other."""

import re

import torch
from support import named, small_network, sparse_map

from mtdc import DepthSample
from mtdc.model import build_model
from mtdc.registry import LOSSES


def page(repository):
    return (repository / "docs" / "losses.md").read_text()


def test_the_example_trains_a_step(repository):
    (code,) = re.findall(r"```python\n(.*?)```", page(repository), flags=re.DOTALL)
    tasks = eval(f"dict({code})")
    model = build_model({"width": 1, "network": small_network(tasks=tasks), "weighting": {"type": "FixedWeighting"}})
    sample = DepthSample()
    sample.gt_depth = sparse_map(37, 53, batch=1, density=0.4, seed=1)[0]
    sample.gt_image = 255 * torch.rand(1, 37, 53)
    losses = model({"sparse_depth": sparse_map(37, 53, batch=1)}, [sample], mode="loss")
    assert set(losses["depth"]) == {"nll", "gradient", "smooth", "pyramid"}
    total, _ = model.parse_losses(losses)
    total.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.network.tasks["depth"].parameters())


def test_every_loss_has_a_row(repository):
    cells = [line.split("|")[1] for line in page(repository).splitlines() if line.startswith("| `")]
    rows = {name for cell in cells for name in re.findall(r"`(\w+)", cell)}
    assert rows == set(named(LOSSES))
