# Gradient vaccine (Wang et al., ICLR 2021) on the street world: PCGrad with a likeness that is learned in place of 0.
# Against aux_image_street: the rule behind the same weights. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(type='GradVac', beta=0.5))
