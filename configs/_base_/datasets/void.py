# VOID, indoor: sparse points of visual-inertial odometry, 150, 500 or 1500 a frame (Wong et al., RA-L 2020).
# Ground truth of 0.2 to 5 m is scored, as papers on it do.
data_root = 'data/void_release'
density = 1500

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(
        type='VOID',
        data_root=data_root,
        split='train',
        density=density,
        transforms=[dict(type='RandomFlip', probability=0.5)]))

val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='VOID', data_root=data_root, split='test', density=density))
test_dataloader = val_dataloader

val_evaluator = dict(type='NYUv2DepthMetric', clamp_m=(0.1, 10.0), truth_range_m=(0.2, 5.0))
test_evaluator = val_evaluator
baselines = dict(nearest=dict(type='Nearest'), linear=dict(type='Linear'))
val_cfg = dict()
test_cfg = dict()
