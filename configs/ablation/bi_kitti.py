# B + I: the image task shares the encoder and nothing else (Lu et al., CVPR 2020, Table 2). Against aux_image_kitti: no sharing.
# The paper: RMSE 1103.85 mm on KITTI's validation set. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(sharing=dict(type='NoSharing')))
