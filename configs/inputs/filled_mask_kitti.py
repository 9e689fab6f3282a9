# A closest-surface fill, mask and sparse depth as input; depth is a residual on the fill.
# Against aux_image_kitti: the representation. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(representation=dict(type='FilledMask')))
