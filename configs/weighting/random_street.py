# Random weights, drawn anew each step (Lin et al., TMLR 2022), on the street world: what other rules have to beat.
# Against aux_image_street: random factors in front of the same weights. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(type='RandomWeighting'))
