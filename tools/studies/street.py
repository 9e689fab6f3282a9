"""Do auxiliary tasks help depth, beyond the parameters that they add? Variants and budget of the study.

All variants see the same frames in the same order with the same augmentation, for the same number of steps. The test frames are
of streets that occur in no other split, and are looked at once, when a run has ended.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, NamedTuple

from .definition import Columns, Run, Study, Variant

VARIANTS = {
    "b": Variant("ablation/b_street", "B: depth alone"),
    "b_wide": Variant("ablation/b_wide_street", "B wide: as many parameters as B + I + S"),
    "bi": Variant("ablation/bi_street", "B + I: the image shares the encoder"),
    "bis": Variant("aux_image_street", "B + I + S: the paper's sharing"),
    "bis_no_image_loss": Variant("ablation/bis_no_image_loss_street", "B + I + S, w_img = 0"),
    "normals": Variant("ablation/bns_street", "normals in place of the image"),
    "semantics": Variant("ablation/bss_street", "semantics in place of the image"),
    "all": Variant("ablation/all_tasks_street", "image, normals and semantics"),
}
#: Probes: auxiliary weights far above those of the configs.
PROBES = {
    "bis_strong": Variant("aux_image_street", "B + I + S, w_img = 5e-3", {"image": 5e-3}),
    "normals_strong": Variant("ablation/bns_street", "normals in place of the image, weight 8", {"normals": 8.0}),
    "semantics_strong": Variant("ablation/bss_street", "semantics in place of the image, weight 20", {"semantics": 20.0}),
}
#: Columns of the first tables: heading, and key of the CSV file.
ERRORS = {
    "RMSE": "rmse",
    "MAE": "mae",
    "dense RMSE": "dense/rmse",
    "dense MAE": "dense/mae",
    "at edges, RMSE": "dense/edges/rmse",
    "off edges, RMSE": "dense/off_edges/rmse",
}
BANDS = ("0_20m", "20_40m", "40_60m", "60_80m")
#: Classes of the paper's Fig. 8b and the others that the street world shows.
CLASSES = (
    "road", "sidewalk", "car", "person", "bicycle", "pole", "traffic_sign", "vegetation", "building", "wall", "fence",
    "terrain",
)  # fmt: skip


class Budget(NamedTuple):
    """How much a run sees.

    Args:
        train, test: Frames of the two splits.
        epochs, batch: Training.
        crop: (H, W) of a training crop in pixels.
    """

    train: int
    test: int
    epochs: int
    batch: int
    crop: tuple[int, int]


#: "cpu" ends within two hours on two cores; "gpu" is for a machine that has one; "smoke" shows that all of it works.
BUDGETS = {
    "cpu": Budget(train=400, test=60, epochs=8, batch=4, crop=(160, 320)),
    "gpu": Budget(train=4000, test=200, epochs=20, batch=16, crop=(192, 640)),
    "smoke": Budget(train=4, test=2, epochs=1, batch=2, crop=(96, 96)),
}


class StreetStudy(Study):
    """The study on the street world."""

    variants: ClassVar = VARIANTS
    probes: ClassVar = PROBES
    budgets: ClassVar = BUDGETS
    tables: ClassVar = (
        Columns("Mean and standard deviation over seeds, mm:", ERRORS),
        Columns("Change against B, the same seed, per cent (negative is better), mean and standard deviation over seeds:",
                ERRORS, "+.1f", change=True),
        Columns("RMSE by true distance, dense truth, mm:", {band.replace("_", "-"): f"dense/{band}/rmse" for band in BANDS}),
        Columns("RMSE by class, dense truth, mm:", {name.replace("_", " "): f"dense/{name}/rmse" for name in CLASSES}),
    )  # fmt: skip
    reads_data: ClassVar = False

    def prepared(self, data_root: Path, out: Path, budget: str) -> Path:
        """Streets are read as they are drawn."""
        return data_root

    def prepare(self, data_root: Path, out: Path, budget: str, config: Path) -> None:
        """Draw the streets once, before several runs would do so side by side."""
        from mtdc.engine.config import load_config
        from mtdc.engine.street import make_street

        make_street(load_config(config))

    def steps(self, budget: str, prepared: Path) -> int:
        """Whole batches of an epoch, times epochs."""
        chosen = BUDGETS[budget]
        return chosen.epochs * (chosen.train // chosen.batch)

    def config_text(self, run: Run) -> str:
        """The variant's config with the study's streets, crops, steps and measures."""
        variant, budget = run.variant, BUDGETS[run.budget]
        height, width = budget.crop
        weights = "" if variant.weights is None else f", weighting=dict(weights={variant.weights!r})"
        return f"""# {variant.title}: one run of tools/study.py, seed {run.seed}.
_base_ = {run.base!r}

data_root = {str(run.data_root)!r}
street = dict(
    splits=dict(_delete_=True, train={budget.train}, test={budget.test}),
    extra=('dense', 'normals', 'semantics'))
model = dict(
    precision={run.precision!r},
    channels_last=True,
    network=dict(representation=dict(type={run.representation!r})){weights})
train_dataloader = dict(
    batch_size={budget.batch},
    dataset=dict(
        data_root=data_root,
        transforms=[
            dict(type='RandomCrop', height={height}, width={width}),
            dict(type='RandomFlip', probability=0.5)]))
val_dataloader = dict(dataset=dict(data_root=data_root, split='test'))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='KittiDepthMetric', clamp_m=(0.9, 100.0)),
    dict(type='DepthByRegion', prefix='dense')]
test_evaluator = val_evaluator
randomness = dict(seed={run.seed})
param_scheduler = [
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max={budget.epochs}, end={budget.epochs})]
train_cfg = dict(by_epoch=True, max_epochs={budget.epochs}, val_interval={budget.epochs})
custom_hooks = [dict(type='PlainCheckpointHook'), dict(type='IterationSeedHook')]
{"" if run.first else "baselines = dict(nearest=None, linear=None, morphological=None)"}
"""


STUDY = StreetStudy()
