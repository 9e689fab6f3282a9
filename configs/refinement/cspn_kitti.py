# Spatial propagation behind the depth head (Cheng et al., ECCV 2018). Against aux_image_kitti: the refinement.
# Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(refinement=dict(type='CSPN', steps=24)))
