# Real scans without ground truth, in a folder of one's own (docs/datasets.md): a part of each scan's points is held back and scored.
# Which part: --cfg-options test_dataloader.dataset.transforms.0.every=4, or any other of HoldBack's (docs/transforms.md).
# It measures as it is with linear interpolation, and any model by name: tools/robustness.py MODEL ... --data classical/linear_held_back.
_base_ = ['../_base_/evaluation.py', '../_base_/runtime.py']

data_root = 'data/scans'
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='Folder', data_root=data_root, transforms=[dict(type='HoldBack', every=2)]),
)
val_dataloader = test_dataloader

# Held-back points of 0.9 to 100 m are scored: the range that KITTI's sensor has and networks for it answer in.
test_evaluator = dict(type='NYUv2DepthMetric', clamp_m=(0.9, 100.0), truth_range_m=(0.9, 100.0))
val_evaluator = test_evaluator

model = dict(type='MultiTaskModel', network=dict(type='ClassicalNetwork', method=dict(type='Linear')))
