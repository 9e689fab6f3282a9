# Aligned-MTL (Senushkin et al., CVPR 2023) on the street world: gradients made orthogonal and equally long.
# Against aux_image_street: the rule behind the same weights. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(type='AlignedMTL'))
