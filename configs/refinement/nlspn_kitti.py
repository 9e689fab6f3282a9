# Non-local spatial propagation (NLSPN; Park et al., ECCV 2020) behind the depth head.
# Against aux_image_kitti: the refinement. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(refinement=dict(type='NLSPN', steps=18)))
