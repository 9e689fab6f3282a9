# Convolutional spatial propagation (CSPN; Cheng et al., ECCV 2018) behind the depth head, on the street world.
# Against aux_image_street: the refinement. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(network=dict(refinement=dict(type='CSPN', steps=24)))
