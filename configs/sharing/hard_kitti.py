# Hard sharing: one trunk serves depth and image, which part at their heads (Caruana, Machine Learning 1997).
# Against aux_image_kitti: the sharing. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(sharing=dict(_delete_=True, type='HardSharing')))
