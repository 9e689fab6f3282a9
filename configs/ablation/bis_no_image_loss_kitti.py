# B + I + S with w_img = 0, a control that the paper lacks: the same graph, without learning from the image.
# Against aux_image_kitti: the weight. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(weighting=dict(weights=dict(image=0.0)))
