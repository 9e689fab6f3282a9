# unet_street with the photo beside the fill's channels (early fusion: Lu et al., CVPR 2020, Fig. 2c): the photo is needed at test time.
# Against unet_street: representation, width 8, 16 epochs. Three runs, 9 minutes of one core each: RMSE / MAE 922.8 / 244.2 mm on the real
# frames of drive 0001; the first, which the zoo has, 863.6 / 237.9.
_base_ = './unet_street.py'

model = dict(width=8, network=dict(representation=dict(type='RelativeFill', image=True)))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=16, end=16)]
train_cfg = dict(max_epochs=16, val_interval=8)
