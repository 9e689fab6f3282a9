# Dynamic spatial propagation (DySPN; Lin et al., AAAI 2022) behind the depth head, on the street world.
# Against aux_image_street: the refinement. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(network=dict(refinement=dict(type='DySPN', steps=6)))
