# CAGrad (Liu et al., NeurIPS 2021) on the street world: near the mean gradient, what helps the worst task most.
# Against aux_image_street: the rule behind the same weights. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(type='CAGrad', c=0.4))
