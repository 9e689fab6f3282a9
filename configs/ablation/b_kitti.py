# B: encoder and depth module alone (Lu et al., CVPR 2020, Table 2). Against aux_image_kitti: no image task, no sharing.
# The paper: RMSE 1267.01 mm on KITTI's validation set. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(sharing=dict(type='NoSharing'), tasks=dict(image=None)))
