# PAD-Net: first predictions after the second stage, and gated distillation between their features (Xu et al., CVPR 2018).
# Against aux_image_kitti: the sharing. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(sharing=dict(_delete_=True, type='PADNet', stage=1, distillation='C')))
