# IMTL-L (Liu et al., ICLR 2021) on the street world: learned scales that make the scaled losses alike.
# Against aux_image_street: the same weights are where it starts; its numbers learn ten times as fast and don't decay.
# Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(type='IMTLL'))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'weighting.': dict(lr_mult=10.0, decay_mult=0.0)}))
