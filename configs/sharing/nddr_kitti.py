# NDDR-CNN (Gao et al., CVPR 2019).
# Against aux_image_kitti: the sharing. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(sharing=dict(_delete_=True, type='NDDR')))
