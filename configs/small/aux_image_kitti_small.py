# The paper's model for a first run: a quarter of the width, batches of 2, no data set of 85,898 frames needed.
# Against aux_image_kitti: width, batch size, schedule (Adam, 2e-3, cosine), precision.
# RMSE / MAE 4411.9 mm / 2439.6 mm: 19 training frames, 20 epochs, seed 0, bfloat16, on 24 frames of drive 2011_09_26_0001.
_base_ = '../aux_image_kitti.py'

model = dict(width=4, precision='auto', channels_last='auto')
train_dataloader = dict(batch_size=2, num_workers=1)
val_dataloader = dict(num_workers=1)
test_dataloader = dict(num_workers=1)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=20, end=20)]
train_cfg = dict(max_epochs=20, val_interval=10)
default_hooks = dict(logger=dict(interval=3))
