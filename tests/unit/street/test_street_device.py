"""The same code on a second device: rays never meet a tensor that was left on the processor.

There may be no GPU where the tests run, so the second device is played: its tensors carry another device's name and refuse, as
a GPU's do, to be computed with tensors of the processor; what they hold is computed on the processor all the same.
"""

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from mtdc.data.street import MAPS, LidarOptions, StreetOptions, draw_views

#: A device that torch lets one name without having it.
NAME = "meta"
#: Operations that may be given tensors of both devices.
_COPIES = {"aten::copy_", "aten::_to_copy"}


class Elsewhere(torch.Tensor):
    """A tensor that says it lies on the other device."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner):
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype, device=NAME
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} outside of the played device")


class PlayedDevice(TorchDispatchMode):
    """Runs everything on the processor, and keeps the two devices apart."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
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
        plain = tree_map(lambda x: x.inner if isinstance(x, Elsewhere) else x, (args, kwargs))
        result = func(*plain[0], **plain[1])
        if name.endswith("_") and not name.endswith("__"):
            return args[0]
        if not there:
            return result
        return tree_map(lambda x: Elsewhere(x) if isinstance(x, torch.Tensor) else x, result)


class NumbersThere(TorchFunctionMode):
    """``torch.tensor`` fills its result before modes are asked: on the played device it is made here and taken there."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.tensor and torch.device(kwargs.get("device") or "cpu").type == NAME:
            return func(*args, **{**kwargs, "device": "cpu"}).to(NAME)
        return func(*args, **kwargs)


def test_the_played_device_refuses_what_a_gpu_refuses():
    with PlayedDevice(), NumbersThere():
        there = torch.ones(3, device=NAME)
        assert there.device.type == NAME and (there + 1).device.type == NAME and float(there.sum()) == 3
        assert (there + 1).cpu().device.type == "cpu"
        with pytest.raises(AssertionError, match="two devices"):
            there + torch.ones(3)


def test_a_frame_comes_out_the_same_with_nothing_left_behind():
    options = StreetOptions(
        size=(31, 90), layouts=("yard",), cameras=(2, 3), wet=1.0, grow=1, edge_band=2, lidar=LidarOptions(step=1.5, skew=True)
    )
    expected = draw_views(options, 1, 0)
    with PlayedDevice(), NumbersThere():
        found = draw_views(options, 1, 0, device=NAME)
    for camera in (2, 3):
        for name in MAPS:
            assert np.array_equal(found[camera].maps[name], expected[camera].maps[name]), (camera, name)
