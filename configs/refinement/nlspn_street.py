# Non-local spatial propagation (NLSPN; Park et al., ECCV 2020) behind the depth head, on the street world.
# Against aux_image_street: the refinement. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(network=dict(refinement=dict(type='NLSPN', steps=18)))
