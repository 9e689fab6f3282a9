# PCGrad (Yu et al., NeurIPS 2020) on the street world: gradients that conflict lose their parts along each other.
# Against aux_image_street: the rule behind the same weights. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(type='PCGrad'))
