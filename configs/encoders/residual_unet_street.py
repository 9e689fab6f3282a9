# A residual U-Net: residual blocks at every stride with skip connections to the trunks, on the street world.
# Against aux_image_street: the encoder. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(network=dict(encoder=dict(_delete_=True, type='ResidualEncoder', multiples=(2, 4, 6, 8))))
