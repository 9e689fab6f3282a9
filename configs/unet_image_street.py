# unet_street with the photo beside the fill's channels (early fusion: Lu et al., CVPR 2020, Fig. 2c): the photo is needed at test time.
# Against unet_street: representation, width 8.
_base_ = './unet_street.py'

model = dict(width=8, network=dict(representation=dict(type='RelativeFill', image=True)))
