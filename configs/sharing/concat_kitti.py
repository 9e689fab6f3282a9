# The paper's shared stream with concatenation and a 1x1 convolution in place of its sum, a control for it.
# Against aux_image_kitti: the sharing. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(sharing=dict(_delete_=True, type='ConcatSharing', at='stages')))
