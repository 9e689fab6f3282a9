# Sparse depth beside its mask as input. Against aux_image_kitti: the representation. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(representation=dict(type='SparseDepthMask')))
