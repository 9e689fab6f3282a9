# unet_nyuv2 with depth as its one task: the control for what auxiliary tasks do there. A U-Net from a fill for rooms and a few hundred random
# points, on the 795 frames of NYUv2. Half resolution inside (space to depth, sub-pixel head), 0.9 M parameters. The number of points changes
# from frame to frame, so that it bears fewer and more than the protocol's 500.
# One run, 52 minutes of one core: RMSE / MAE 160.2 / 62.0 mm on val.
_base_ = ['../_base_/datasets/nyuv2.py', '../_base_/runtime.py']

model = dict(
    type='MultiTaskModel',
    width=14,
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
                mean_depth_m=2.8,
                range_m=(0.1, 10.0),
                upsampling='sub_pixel',
                losses=dict(l1=dict(type='L1'), l2=dict(type='L2', weight=0.3))))),
    weighting=dict(type='FixedWeighting', weights=dict(depth=1.0)))

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        transforms=[
            dict(type='RandomFlip', probability=0.5),
            dict(type='RandomZoom', scale=(1.0, 1.3)),
            dict(type='RandomDepthScale', factor=(0.9, 1.3)),
            dict(type='SamplePoints', points=(100, 2500), logarithmic=True)]))

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=10.0))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=40, end=40)]
train_cfg = dict(by_epoch=True, max_epochs=40, val_interval=20)
