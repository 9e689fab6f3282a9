# B + I on the street world: the image task shares the encoder and nothing else (Lu et al., CVPR 2020, Table 2).
# Against aux_image_street: no sharing. Measured beside its twins: docs/auxiliary_study.md.
_base_ = '../aux_image_street.py'

model = dict(network=dict(sharing=dict(type='NoSharing')))
