# Dynamic spatial propagation (DySPN; Lin et al., AAAI 2022) behind the depth head.
# Against aux_image_kitti: the refinement. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(refinement=dict(type='DySPN', steps=6)))
