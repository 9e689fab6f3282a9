# A first run that starts from a fill: depth as a residual on it. Against aux_image_kitti_small: the representation.
# Here: not trained.
_base_ = './aux_image_kitti_small.py'

model = dict(network=dict(representation=dict(type='FilledMask')))
