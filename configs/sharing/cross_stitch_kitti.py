# Cross-stitch units (Misra et al., CVPR 2016).
# Against aux_image_kitti: the sharing, whose numbers learn ten times as fast. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(sharing=dict(_delete_=True, type='CrossStitch')))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'sharing.stitches': dict(lr_mult=10.0)}))
