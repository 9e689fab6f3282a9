# NYUv2, indoor: half size, centre 304x228, 500 points (Ma and Karaman, ICRA 2018; Lu et al., CVPR 2020). Forms: docs/datasets.md.
# At evaluation each frame's points follow from its name alone, and the given points are scored too, as in the papers.
data_root = 'data/nyuv2'

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(
        type='NYUv2',
        data_root=data_root,
        split='train',
        transforms=[dict(type='RandomFlip', probability=0.5), dict(type='SamplePoints', points=500)]))

val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='NYUv2',
        data_root=data_root,
        split='val',
        transforms=[dict(type='SamplePoints', points=500, fixed=True)]))
test_dataloader = val_dataloader

val_evaluator = dict(type='NYUv2DepthMetric', clamp_m=(0.1, 10.0), score_given=True)
test_evaluator = val_evaluator
baselines = dict(nearest=dict(type='Nearest'), linear=dict(type='Linear'))
val_cfg = dict()
test_cfg = dict()
