# B + I + S with l1 on depth (Lu et al., CVPR 2020, Table 1). Against aux_image_kitti: depth's loss.
# The paper: RMSE 915.86 mm, MAE 231.37 mm on KITTI's test set. Here: not trained. The paper doesn't say whether the image's
# loss changes as well; here it doesn't.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(tasks=dict(depth=dict(losses=dict(l2=None, l1=dict(type='L1'))))))
