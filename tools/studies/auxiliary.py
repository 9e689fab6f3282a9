"""Do auxiliary tasks help depth, beyond the parameters that they add? Variants and budget of the study.

All variants see the same frames in the same order with the same augmentation, for the same number of steps. The test frames are
of streets that occur in no other split, and are looked at once, when a run has ended.
"""

from __future__ import annotations

from typing import NamedTuple


class Variant(NamedTuple):
    """A row of the study's table: a shipped config, what it is, and weights of tasks where they are not the config's."""

    config: str
    title: str
    weights: dict[str, float] | None = None


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
ALL_VARIANTS = VARIANTS | PROBES
#: The variant that the others are compared with, run by run of the same seed.
REFERENCE = "b"


class Budget(NamedTuple):
    """How much a run sees.

    Args:
        train, test: Frames of the two splits.
        epochs, batch: Training.
        crop: (H, W) of a training crop in pixels.
        width: Width of the networks, where it is not the configs' (B wide scales with it).
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


#: What networks read: the configs' own, or raw sparse depth, as in the paper.
REPRESENTATIONS = ("RelativeFill", "SparseDepth")


def config_text(
    variant: Variant, base: str, budget: Budget, data_root: str, seed: int, precision: str, representation: str
) -> str:
    """A leaf config of one run: the variant's config with the study's data, budget and measures.

    ``base`` is the path of the variant's config.
    """
    height, width = budget.crop
    weights = "" if variant.weights is None else f", weighting=dict(weights={variant.weights!r})"
    return f"""# {variant.title}: one run of tools/study.py, seed {seed}.
_base_ = {base!r}

data_root = {data_root!r}
street = dict(
    splits=dict(_delete_=True, train={budget.train}, test={budget.test}),
    extra=('dense', 'normals', 'semantics'))
model = dict(precision={precision!r}, channels_last=True, network=dict(representation=dict(type={representation!r})){weights})
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
randomness = dict(seed={seed})
param_scheduler = [
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max={budget.epochs}, end={budget.epochs})]
train_cfg = dict(by_epoch=True, max_epochs={budget.epochs}, val_interval={budget.epochs})
custom_hooks = [dict(type='PlainCheckpointHook'), dict(type='IterationSeedHook')]
{"" if variant is VARIANTS[REFERENCE] and seed == 0 else "baselines = dict(nearest=None, linear=None, morphological=None)"}
"""
