# A U-Net for rooms with the photo beside the fill's channels (early fusion: Lu et al., CVPR 2020, Fig. 2c): the photo is needed at test time.
# Against ablation/b_unet_nyuv2: representation, width 10, 24 epochs. One run, 24 minutes of one core:
# RMSE / MAE 146.2 / 61.1 mm on val.
_base_ = './ablation/b_unet_nyuv2.py'

model = dict(width=10, network=dict(representation=dict(type='RelativeFill', image=True)))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=24, end=24)]
train_cfg = dict(max_epochs=24, val_interval=12)
