# Early fusion (Lu et al., CVPR 2020, Fig. 2c): the photo beside the fill's channels, read by one encoder; depth is the one task, and the
# photo is needed at test time. Against aux_image_street: representation, no image task, no sharing. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(
    network=dict(
        representation=dict(type='RelativeFill', image=True),
        sharing=dict(type='NoSharing'),
        tasks=dict(image=None)))
