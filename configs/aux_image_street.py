# The paper's model (B + I + S) on the embedded street world: a first run without a data set or a GPU, in minutes.
# Against aux_image_kitti: data, half the width, a fill as input with depth as a residual on it, skip connections, sub-pixel heads,
# l1 beside l2, schedule, precision as measured at the start. RMSE / MAE 1017.6 / 209.4 mm on its 30 validation frames, seed 0,
# bfloat16 (morphological fill 1179.8 / 227.7).
_base_ = ['_base_/datasets/street.py', '_base_/evaluation.py', '_base_/runtime.py']

model = dict(
    type='MultiTaskModel',
    width=8,
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
                losses=dict(l1=dict(type='L1'), l2=dict(type='L2', weight=0.1))),
            image=dict(type='ImageTask', upsampling='sub_pixel', losses=dict(l2=dict(type='L2'))))),
    weighting=dict(type='FixedWeighting', weights=dict(depth=1.0, image=1e-4)))

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=6, end=6)]
train_cfg = dict(by_epoch=True, max_epochs=6, val_interval=3)
