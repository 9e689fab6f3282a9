# The image trains as far as its gradient points where depth's points (Du et al., arXiv 1812.02224, 2018), on the street world.
# Against aux_image_street: the gate in front of the same weights. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(type='PrimaryCosineGating'))
