"""What several tests share: checks that every module of a registry goes through, and a small model."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from mtdc.registry import ComponentRegistry

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
    return (
        [tensor for item in value for tensor in flatten(item)]
        if isinstance(value, Iterable) and not isinstance(value, str)
        else []
    )


def check_finite(value: Any) -> None:
    for tensor in flatten(value):
        assert torch.isfinite(tensor).all()


def check_backward(module: nn.Module, call: Callable[[], Any]) -> None:
    """Every parameter has a finite gradient of the output."""
    module.train()
    module.zero_grad()
    total = sum(
        (tensor.float() * torch.linspace(0.5, 1.5, tensor.numel()).reshape(tensor.shape)).sum() for tensor in flatten(call())
    )
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


#: Size (H, W) of the frames that ``kitti_tree`` writes, and options that make a config fit them.
TREE_SIZE = (72, 104)
TREE_CROP = (64, 96)
DRIVE = "2011_09_26_drive_{:04d}_sync"
_CALIBRATION = """calib_time: 09-Jan-2012 13:57:47
S_rect_02: {w:.6e} {h:.6e}
P_rect_02: 6.0e+01 0.0e+00 {cx:.6e} 0.0e+00 0.0e+00 6.0e+01 {cy:.6e} 0.0e+00 0.0e+00 0.0e+00 1.0e+00 0.0e+00
R_rect_00: 1 0 0 0 1 0 0 0 1
"""


def kitti_tree(root: Path, split: str, frames: int = 4, drive: int = 1, mask_folder: str | None = None) -> Path:
    """A small split in KITTI's devkit layout, written with OpenCV alone: ground, a wall, boxes, scan lines, a gray photo."""
    height, width = TREE_SIZE
    generator = np.random.default_rng(drive)
    base = root / split / DRIVE.format(drive)
    (root / split / "2011_09_26").mkdir(parents=True, exist_ok=True)
    text = _CALIBRATION.format(w=width, h=height, cx=width / 2, cy=height / 2)
    (root / split / "2011_09_26" / "calib_cam_to_cam.txt").write_text(text)
    for number in range(frames):
        rows, columns = np.mgrid[0:height, 0:width]
        depth = np.where(rows > height / 2, 60 * 1.6 / np.maximum(rows - height / 2, 1.0), 60.0)
        gray = np.where(rows > height / 2, 90, 200)
        for _ in range(4):
            z, u, v = generator.uniform(4, 30), generator.integers(0, width - 20), generator.integers(10, height - 20)
            inside = (columns >= u) & (columns < u + 18) & (rows >= v) & (rows < v + 16) & (z < depth)
            depth, gray = np.where(inside, z, depth), np.where(inside, generator.integers(0, 255), gray)
        depth = np.clip(depth, 1, 60)
        lines = (rows % 4 == 0) & (columns % 2 == 0) & (rows > 12)
        files = {
            f"proj_depth/velodyne_raw/image_02/{number:010d}.png": np.where(lines, depth * 256, 0).astype(np.uint16),
            f"proj_depth/groundtruth/image_02/{number:010d}.png": np.where(rows > 12, depth * 256, 0).astype(np.uint16),
            f"image_02/data/{number:010d}.png": np.repeat(gray[..., None], 3, axis=2).astype(np.uint8),
        }
        if mask_folder is not None:
            files[f"proj_depth/{mask_folder}/image_02/{number:010d}.png"] = (depth >= 59).astype(np.uint8)
        for name, array in files.items():
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(base / name), array)
    return root


def small_run(**changes: Any) -> list[str]:
    """``--cfg-options`` with which a KITTI config trains on ``kitti_tree`` in seconds."""
    height, width = TREE_CROP
    options = {
        "model.width": 2,
        "train_dataloader.batch_size": 2,
        "train_cfg.max_epochs": 2,
        "default_hooks.logger.interval": 1,
    }
    for part in ("train", "val", "test"):
        options |= {
            f"{part}_dataloader.num_workers": 0,
            f"{part}_dataloader.dataset.transforms.0.height": height,
            f"{part}_dataloader.dataset.transforms.0.width": width,
        }
    return ["--cfg-options", *(f"{key}={value}" for key, value in {**options, **changes}.items())]
