"""Do auxiliary tasks help depth indoors, on real frames of NYUv2? Variants, budgets and data of the study.

Frames are brought to the budget's size once, with their normals: fitting those takes longer than a step of training. Runs read
that folder (the data set ``Folder``), where a frame keeps its name, and so the points that are drawn from it at evaluation.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from .definition import Columns, Run, Study, Variant

VARIANTS = {
    "b": Variant("ablation/b_nyuv2", "B: depth alone"),
    "b_wide": Variant("ablation/b_wide_nyuv2", "B wide: as many parameters as B + I + S", widened=True),
    "bi": Variant("ablation/bi_nyuv2", "B + I: the image shares the encoder"),
    "bis": Variant("aux_image_nyuv2", "B + I + S: the paper's sharing"),
    "normals": Variant("ablation/bns_nyuv2", "normals in place of the image"),
    "semantics": Variant("ablation/bss_nyuv2", "semantics in place of the image"),
    "all": Variant("ablation/all_tasks_nyuv2", "image, normals and semantics"),
}
#: Probes: auxiliary weights with which gradients on shared parameters are about as long as depth's; the configs' are longer.
PROBES = {
    "bis_even": Variant("aux_image_nyuv2", "B + I + S, w_img = 5e-5", {"image": 5e-5}),
    "normals_even": Variant("ablation/bns_nyuv2", "normals in place of the image, weight 0.25", {"normals": 0.25}),
    "semantics_even": Variant("ablation/bss_nyuv2", "semantics in place of the image, weight 0.1", {"semantics": 0.1}),
}
#: Measures of the other tasks: heading, and key of the CSV file.
AUXILIARY = {
    "image, PSNR dB": "image/psnr",
    "normals, mean error, degrees": "normals/mean_angle_deg",
    "classes, mIoU": "semantics/miou",
    "classes, pixel accuracy": "semantics/pixel_accuracy",
}
#: Every so many training frames one is held back, by budgets that measure on those in place of the validation frames.
HELD_BACK = 8
STATE = "prepared.json"


class Budget(NamedTuple):
    """How much a run sees.

    Args:
        scale: Factor on the paper's window of 228x304 pixels.
        points: Measured points of a frame.
        epochs, batch: Training.
        width, wide: Width of the networks, and of B wide.
        held_back: Measure on training frames that are held back, not on the validation frames: for choices.
    """

    scale: float
    points: int
    epochs: int
    batch: int = 4
    width: int = 8
    wide: int = 11
    held_back: bool = False


class IndoorStudy(Study):
    """The study on NYUv2."""

    variants: ClassVar = VARIANTS
    probes: ClassVar = PROBES
    budgets: ClassVar = {
        "half": Budget(scale=0.5, points=125, epochs=6),
        "full": Budget(scale=1.0, points=500, epochs=4),
        "choose": Budget(scale=0.5, points=125, epochs=5, held_back=True),
        "smoke": Budget(scale=0.5, points=125, epochs=1, batch=2, width=2, wide=3),
    }
    tables: ClassVar = (
        Columns("Mean and standard deviation over seeds, RMSE and MAE in mm:", {"RMSE": "rmse", "MAE": "mae"}, ".1f"),
        Columns("REL and the share of pixels within 1.25, 1.25^2 and 1.25^3:",
                {"REL": "abs_rel", "delta1": "delta1", "delta2": "delta2", "delta3": "delta3"}, ".4f"),
        Columns("Change against B, the same seed, per cent (negative is better, but for delta1):",
                {"RMSE": "rmse", "MAE": "mae", "REL": "abs_rel", "delta1": "delta1"}, "+.1f", change=True),
        Columns("What the other tasks reach:", AUXILIARY, ".2f"),
    )  # fmt: skip
    reads_data: ClassVar = True

    def prepared(self, data_root: Path, out: Path, budget: str) -> Path:
        """A folder of the study's own for each size and split."""
        chosen = self.budgets[budget]
        return out / "data" / f"{chosen.scale:g}{'_held_back' if chosen.held_back else ''}"

    def prepare(self, data_root: Path, out: Path, budget: str, config: Path) -> None:
        """Frames in the budget's size, with their normals, as a plain folder."""
        from mtdc.data.io import write_json
        from mtdc.errors import DataError

        chosen: Budget = self.budgets[budget]
        root = self.prepared(data_root, out, budget)
        asked = {"source": str(data_root), "scale": chosen.scale, "held_back": chosen.held_back}
        state = json.loads((root / STATE).read_text()) if (root / STATE).is_file() else asked
        if {key: state.get(key) for key in asked} != asked:
            raise DataError(f"{root} was made from {state.get('source')}, not from {data_root}; name that, or another --out.")
        if "frames" in state:
            return
        write_json(root / STATE, asked)
        frames = {}
        for split, place, source, numbers in _splits(data_root, chosen):
            _write_split(source, numbers, root / place, f"{split} frames at {chosen.scale:g}")
            frames[place] = len(numbers)
        write_json(root / STATE, asked | {"frames": frames})

    def steps(self, budget: str, prepared: Path) -> int:
        """Whole batches of an epoch, times epochs."""
        chosen: Budget = self.budgets[budget]
        return chosen.epochs * (json.loads((prepared / STATE).read_text())["frames"]["train"] // chosen.batch)

    def config_text(self, run: Run) -> str:
        """The variant's config, in the small form that trains within minutes: a residual on a fill, skips, sub-pixel heads."""
        from mtdc.engine.config import load_config

        budget: Budget = self.budgets[run.budget]
        present = [name for name, task in load_config(run.base).model.network.tasks.items() if task is not None]
        heads = ", ".join(f"{name}=dict(upsampling='sub_pixel')" for name in present if name != "depth")
        weights = "" if run.variant.weights is None else f",\n    weighting=dict(weights={run.variant.weights!r})"
        data = f"_delete_=True, type='Folder', data_root={str(run.data_root)!r}"
        return f"""# {run.variant.title}: one run of tools/study.py, seed {run.seed}.
_base_ = {run.base!r}

model = dict(
    width={budget.wide if run.variant.widened else budget.width},
    precision={run.precision!r},
    channels_last=True,
    network=dict(
        representation=dict(type={run.representation!r}),
        encoder=dict(every_stride=True),
        trunk=dict(skips=True),
        tasks=dict(
            depth=dict(upsampling='sub_pixel', losses=dict(l1=dict(type='L1'), l2=dict(weight=0.1))),
            {heads})){weights})
train_dataloader = dict(
    batch_size={budget.batch},
    num_workers=1,
    dataset=dict(
        {data}, split='train',
        transforms=[dict(type='RandomFlip', probability=0.5), dict(type='SamplePoints', points={budget.points})]))
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        {data}, split='val',
        transforms=[dict(type='SamplePoints', points={budget.points}, fixed=True)]))
test_dataloader = val_dataloader
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=1e-4))
param_scheduler = [
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max={budget.epochs}, end={budget.epochs})]
train_cfg = dict(by_epoch=True, max_epochs={budget.epochs}, val_interval={budget.epochs})
custom_hooks = [dict(type='PlainCheckpointHook'), dict(type='IterationSeedHook')]
randomness = dict(seed={run.seed})
{"" if run.first else "baselines = dict(nearest=None, linear=None)"}
"""


def _splits(data_root: Path, budget: Budget) -> Iterable[tuple[str, str, Any, list[int]]]:
    """Split, folder that it is written to, its data set, and numbers of the frames."""
    from mtdc.data.datasets.nyuv2 import NYUv2
    from mtdc.structures import INTRINSICS, NORMALS, RGB_IMAGE, SEMANTICS, SPARSE_DEPTH

    transforms = [] if budget.scale == 1 else [{"type": "Resize", "scale": budget.scale}]
    common: dict[str, Any] = {
        "inputs": (SPARSE_DEPTH, INTRINSICS), "targets": (RGB_IMAGE, NORMALS, SEMANTICS), "transforms": transforms
    }  # fmt: skip
    train = NYUv2(data_root, "train", **common)
    numbers = range(len(train))
    if budget.held_back:
        yield "training", "train", train, [number for number in numbers if number % HELD_BACK]
        yield "held-back training", "val", train, [number for number in numbers if not number % HELD_BACK]
        return
    yield "training", "train", train, list(numbers)
    validation = NYUv2(data_root, "val", **common)
    yield "validation", "val", validation, list(range(len(validation)))


def _write_split(source: Any, numbers: list[int], folder: Path, text: str) -> None:
    import numpy as np
    from tqdm import tqdm

    from mtdc.data.io import atomic_path

    with atomic_path(folder / "intrinsics.txt") as path:  # one camera for all frames
        np.savetxt(path, source[numbers[0]]["inputs"]["intrinsics"].numpy())
    gt = folder / "gt"
    if not gt.is_symlink():
        gt.symlink_to("depth")  # sparse depth is drawn from the ground truth
    missing = [number for number in numbers if not (folder / "depth" / f"{source.sample_id(number)}.npy").is_file()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        jobs = [pool.submit(_write_frame, source, number, folder) for number in missing]
        bar = tqdm(as_completed(jobs), desc=text, unit="frame", initial=len(numbers) - len(missing), total=len(numbers))
        try:
            for job in bar:
                job.result()
        except BaseException:  # Ctrl-C and faults alike: what waits is not begun
            pool.shutdown(cancel_futures=True)
            raise


def _write_frame(source: Any, number: int, folder: Path) -> None:
    import numpy as np

    from mtdc.data.io import atomic_path, write_png
    from mtdc.data.street.writer import encode_normals

    name, item = source.sample_id(number), source[number]
    sample = item["data_samples"]
    photo, normals = (sample.get(key).permute(1, 2, 0).numpy() for key in ("gt_image", "gt_normals"))
    write_png(folder / "image" / f"{name}.png", np.round(photo).astype(np.uint8))
    write_png(folder / "normals" / f"{name}.png", encode_normals(normals))
    write_png(folder / "label" / f"{name}.png", sample.get("gt_semantics").numpy().astype(np.uint8))
    # Last: a frame that has its depth is whole.
    with atomic_path(folder / "depth" / f"{name}.npy") as path:
        np.save(path, item["inputs"]["sparse_depth"][0].numpy())


STUDY = IndoorStudy()
