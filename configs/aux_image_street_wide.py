# The paper's model (B + I + S: Lu et al., CVPR 2020) on the street world at KITTI's full width, for real scans of an HDL-64 in KITTI's
# camera. Against aux_image_street: frames, truth and crops of the wide street, width 6 instead of 8, l2 at 0.03, schedule.
# One run, 43 minutes of one core: RMSE / MAE 860.7 / 219.4 mm on the real frames of drive 0001.
_base_ = ['_base_/datasets/street_wide.py', '_base_/evaluation.py', '_base_/runtime.py']

model = dict(
    type='MultiTaskModel',
    width=6,
    precision='auto',
    channels_last='auto',
    network=dict(
        type='MultiTaskNetwork',
        representation=dict(type='RelativeFill'),
        encoder=dict(type='MultiKernelEncoder', kernels=(3, 5, 7, 9), every_stride=True),
        trunk=dict(type='TransposedConvTrunk', strides=(8, 4, 2, 2), skips=True),
        sharing=dict(type='SumSharing'),
        tasks=dict(
            depth=dict(
                type='DepthTask',
                mean_depth_m=15.0,
                range_m=(0.9, 100.0),
                upsampling='sub_pixel',
                losses=dict(l1=dict(type='L1'), l2=dict(type='L2', weight=0.03))),
            image=dict(type='ImageTask', upsampling='sub_pixel', losses=dict(l2=dict(type='L2'))))),
    weighting=dict(type='FixedWeighting', weights=dict(depth=1.0, image=1e-4)))

test_evaluator = [
    dict(type='KittiDepthMetric', clamp_m=(0.9, 100.0)),
    dict(type='ErrorSides', prefix='sides')]

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=10.0))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=30, end=30)]
train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=15)
