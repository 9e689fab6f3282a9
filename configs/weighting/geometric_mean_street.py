# The geometric mean of the losses (Chennupati et al., CVPRW 2019) on the street world; it needs no weights.
# Against aux_image_street: the weighting. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(_delete_=True, type='GeometricMean'))
