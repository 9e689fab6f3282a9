# A U-Net from a fill, trained on the street world alone, for real scans of an HDL-64 in KITTI's camera: depth is its one task.
# Half resolution inside (space to depth, sub-pixel head), 1.2 M parameters.
_base_ = ['_base_/evaluation.py', '_base_/runtime.py']

model = dict(
    type='MultiTaskModel',
    width=16,
    precision='auto',
    channels_last='auto',
    network=dict(
        type='MultiTaskNetwork',
        representation=dict(type='RelativeFill'),
        encoder=dict(type='ResidualEncoder'),
        trunk=dict(type='TransposedConvTrunk', strides=(8, 4, 2), multiples=(6, 4, 2), skips=True),
        sharing=dict(type='NoSharing'),
        tasks=dict(
            depth=dict(
                type='DepthTask',
                mean_depth_m=15.0,
                range_m=(0.9, 100.0),
                upsampling='sub_pixel',
                losses=dict(l1=dict(type='L1'), l2=dict(type='L2', weight=0.03))))),
    weighting=dict(type='FixedWeighting', weights=dict(depth=1.0)))

data_root = 'data/street_wide'
street = dict(seed=0, size=(352, 1216), splits=dict(train=420, val=20), truth='raw', processes=None)

train_dataloader = dict(
    batch_size=6,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(
        type='KittiDepthCompletion',
        data_root=data_root,
        split='train',
        cameras=(2,),
        transforms=[
            dict(type='RandomCrop', height=256, width=384),
            dict(type='RandomFlip', probability=0.5),
            dict(type='RandomDepthScale', factor=(0.8, 1.25)),
            dict(type='RandomPointDropout', ratio=(0.0, 0.3), probability=0.3)]))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='KittiDepthCompletion', data_root=data_root, split='val', cameras=(2,), transforms=[]))
# `mtdc test` is for real frames: both cameras, the lower 352 rows.
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='KittiDepthCompletion',
        data_root='data/kitti',
        split='val',
        cameras=(2, 3),
        transforms=[dict(type='BottomCrop', height=352, width=1216)]))

test_evaluator = [
    dict(type='KittiDepthMetric', clamp_m=(0.9, 100.0)),
    dict(type='ErrorSides', prefix='sides')]

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=10.0))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=38, end=38)]
train_cfg = dict(by_epoch=True, max_epochs=38, val_interval=19)
