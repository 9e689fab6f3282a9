# A U-Net from a fill, trained on the street world alone, for real scans of an HDL-64 in KITTI's camera: depth is its one task.
# Half resolution inside (space to depth, sub-pixel head), 1.2 M parameters; silhouettes where the camera sees them. 2660 steps, seed 0,
# bfloat16, half an hour of one core: RMSE / MAE 851.3 / 215.3 mm on 24 real frames of drive 2011_09_26_0001 (morphological fill
# 1045.5 / 267.4).
_base_ = ['_base_/datasets/street_wide.py', '_base_/evaluation.py', '_base_/runtime.py']

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

test_evaluator = [
    dict(type='KittiDepthMetric', clamp_m=(0.9, 100.0)),
    dict(type='ErrorSides', prefix='sides')]

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=10.0))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=38, end=38)]
train_cfg = dict(by_epoch=True, max_epochs=38, val_interval=19)
