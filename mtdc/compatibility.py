"""Cures for packages that don't fit together; each goes when the packages do."""

from __future__ import annotations

import sys

import torch

_kept: list[torch.library.Library] = []


def mend_torchvision() -> None:
    """Make torchvision importable beside a torch of another build (a CUDA-built torchvision beside a CPU torch).

    Its import fails there because the operators of its C++ library are missing, and takes timm and mmengine's Runner with it.
    The two operators that the import looks for are declared, so that everything but ``torchvision.ops`` itself works. Nothing
    is done where torchvision is healthy or absent.
    """
    try:
        import torchvision
    except ModuleNotFoundError:
        return
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)  # the declarations live as long as the library object
        import torchvision  # noqa: F401
