# GradNorm (Chen et al., ICML 2018) on the street world: weights that let both tasks train at similar rates.
# Against aux_image_street: the same weights are where it starts. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(type='GradNorm', alpha=1.5))
