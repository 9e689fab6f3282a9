# unet_street with the photo beside the fill's channels (early fusion: Lu et al., CVPR 2020, Fig. 2c): the photo is needed at test time.
# Against unet_street: representation, width 8, 24 epochs.
_base_ = './unet_street.py'

model = dict(width=8, network=dict(representation=dict(type='RelativeFill', image=True)))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=24, end=24)]
train_cfg = dict(max_epochs=24, val_interval=12)
