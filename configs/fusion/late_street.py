# Late fusion (Lu et al., CVPR 2020, Fig. 2d): an encoder for depth and one for the photo, joined at each stride; depth is the one
# task, and the photo is needed at test time. Against early_street: the encoder. Here: not trained.
_base_ = './early_street.py'

model = dict(
    network=dict(
        encoder=dict(
            _delete_=True,
            type='LateFusionEncoder',
            depth=dict(type='MultiKernelEncoder', every_stride=True),
            image=dict(type='ResidualEncoder'))))
