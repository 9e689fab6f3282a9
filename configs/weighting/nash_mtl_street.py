# Nash-MTL (Navon et al., ICML 2022) on the street world; the losses' units don't matter to it, so it needs no weights.
# Against aux_image_street: the weighting. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(_delete_=True, type='NashMTL', max_norm=1.0))
