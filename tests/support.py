"""What several tests share: checks that every module of a registry goes through, and a small model."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from mtdc.registry import ComponentRegistry
from torch import Tensor, nn

#: (H, W) of test maps: one that every stride divides, one odd.
SIZES = ((32, 48), (37, 53))


def named(registry: ComponentRegistry) -> list[str]:
    """The registered names; an empty registry is a fault, not an empty test."""
    names = registry.names()
    assert names, f"no {registry.kind} is registered"
    return names


def sparse_map(height: int, width: int, batch: int = 2, density: float = 0.2, seed: int = 0) -> Tensor:
    """(B, 1, H, W) metres, 0 where nothing was measured."""
    generator = torch.Generator().manual_seed(seed)
    depth = 2 + 60 * torch.rand(batch, 1, height, width, generator=generator)
    return depth * (torch.rand(batch, 1, height, width, generator=generator) < density)


def flatten(value: Any) -> list[Tensor]:
    """All floating-point tensors inside dicts, tuples and lists."""
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    if isinstance(value, dict):
        value = value.values()
    return [tensor for item in value for tensor in flatten(item)] if isinstance(value, Iterable) and not isinstance(value, str) else []


def check_finite(value: Any) -> None:
    for tensor in flatten(value):
        assert torch.isfinite(tensor).all()


def check_backward(module: nn.Module, call: Callable[[], Any]) -> None:
    """Every parameter has a finite gradient of the output."""
    module.train()
    module.zero_grad()
    total = sum((tensor.float() * torch.linspace(0.5, 1.5, tensor.numel()).reshape(tensor.shape)).sum() for tensor in flatten(call()))
    if not any(True for _ in module.parameters()):
        return
    total.backward()
    dead = [name for name, parameter in module.named_parameters() if parameter.grad is None]
    assert not dead, f"no gradient path to {dead}"
    for parameter in module.parameters():
        assert torch.isfinite(parameter.grad).all()


def check_copies(module: nn.Module, fresh: nn.Module, call: Callable[[nn.Module], Any]) -> None:
    """deepcopy and a state_dict round trip through a file give the same output, bit for bit."""
    module.eval()
    with torch.no_grad():
        expected = flatten(call(module))
        copied = flatten(call(copy.deepcopy(module).eval()))
        file = io.BytesIO()
        torch.save(module.state_dict(), file)
        file.seek(0)
        fresh.load_state_dict(torch.load(file, weights_only=True), strict=True)
        loaded = flatten(call(fresh.eval()))
    for other in (copied, loaded):
        assert len(other) == len(expected)
        assert all(torch.equal(a, b) for a, b in zip(expected, other, strict=True))


def check_bf16(module: nn.Module, call: Callable[[], Any]) -> None:
    """Runs forward and backward under bf16 autocast, and stays finite."""
    module.train()
    module.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = flatten(call())
    assert all(torch.isfinite(value).all() for value in values)
    total = sum(value.float().sum() for value in values)
    if total.requires_grad:
        total.backward()
        assert all(p.grad is None or torch.isfinite(p.grad).all() for p in module.parameters())


def numpy64(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def small_network(**changes: Any) -> dict[str, Any]:
    """Config of the paper's network at a width that tests can afford; ``changes`` replace its keys."""
    network = {
        "type": "MultiTaskNetwork",
        "representation": {"type": "SparseDepth"},
        "encoder": {"type": "MultiKernelEncoder"},
        "trunk": {"type": "TransposedConvTrunk"},
        "sharing": {"type": "SumSharing"},
        "tasks": {
            "depth": {"type": "DepthTask", "losses": {"l2": {"type": "L2"}}},
            "image": {"type": "ImageTask", "losses": {"l2": {"type": "L2"}}},
        },
    }
    return {**network, **changes}
