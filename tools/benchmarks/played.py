"""A second device that is played: what a program would ask of a GPU, counted where there is none.

Its tensors carry another device's name and refuse, as a GPU's do, to be computed with tensors of the processor; what they hold
is computed on the processor all the same. So a program runs through as on a GPU, to the same results, and what it gives the
device to do can be counted: a kernel costs a launch, however small it is, and a wait keeps the processor from launching more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

#: A device that torch lets one name without having it.
NAME = "meta"
#: Operations that may be given tensors of both devices.
_COPIES = {"aten::copy_", "aten::_to_copy"}
#: Operations whose result's size or value the processor has to know.
_WAITS = {"aten::nonzero", "aten::_local_scalar_dense", "aten::masked_select", "aten::_unique2", "aten::unique_consecutive"}


class Elsewhere(torch.Tensor):
    """A tensor that says it lies on the other device."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Elsewhere:
        """Around a tensor of the processor."""
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype, device=NAME
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Nothing is computed outside of the mode."""
        raise AssertionError(f"{func} outside of the played device")


@dataclass
class Asked:
    """What the device was asked for.

    Args:
        operations: Kernels: all operations but those that only look at a tensor in another way.
        waits: Times that the processor had to wait for the device.
    """

    operations: int = 0
    waits: int = 0


class PlayedDevice(TorchDispatchMode):
    """Runs everything on the processor, keeps the two devices apart, and counts what the other one is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = Asked()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One operation."""
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
        name = func._schema.name
        elsewhere = [one for one in tensors if isinstance(one, Elsewhere)]
        left = [one for one in tensors if not isinstance(one, Elsewhere) and one.dim() > 0]
        assert not (elsewhere and left) or name in _COPIES, f"{name}: tensors of two devices"
        there = bool(elsewhere)
        if kwargs.get("device") is not None:
            there = torch.device(kwargs["device"]).type == NAME
            kwargs["device"] = torch.device("cpu")
        if there or elsewhere:
            self._count(func, name, args, there)
        plain = tree_map(lambda x: x.inner if isinstance(x, Elsewhere) else x, (args, kwargs))
        result = func(*plain[0], **plain[1])
        if name.endswith("_") and not name.endswith("__"):
            return args[0]
        if not there:
            return result
        return tree_map(lambda x: Elsewhere(x) if isinstance(x, torch.Tensor) else x, result)

    def _count(self, func: Any, name: str, args: Any, there: bool) -> None:
        looks = any(one.alias_info is not None and not one.alias_info.is_write for one in func._schema.returns)
        self.asked.operations += not looks
        masks = name in ("aten::index", "aten::index_put_") and any(
            one is not None and one.dtype == torch.bool for one in args[1]
        )
        self.asked.waits += name in _WAITS or masks or not there or (name == "aten::copy_" and args[0].device.type == "cpu")


class _NumbersThere(TorchFunctionMode):
    """``torch.tensor`` fills its result before modes are asked: on the played device it is made here and taken there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        """One call."""
        kwargs = dict(kwargs or {})
        if func is torch.tensor and torch.device(kwargs.get("device") or "cpu").type == NAME:
            return func(*args, **{**kwargs, "device": "cpu"}).to(NAME)
        return func(*args, **kwargs)


@contextmanager
def played_device() -> Iterator[Asked]:
    """The device, for as long as the block runs; under it ``device=NAME`` is a device of its own."""
    device = PlayedDevice()
    with device, _NumbersThere():
        yield device.asked
