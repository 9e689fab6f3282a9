# FairGrad (Ban and Ji, ICML 2024) on the street world, of gradients of length 1, so that it needs no weights.
# Against aux_image_street: the weighting. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(_delete_=True, type='FairGrad', alpha=2.0, normalize=True))
