# The mean gradient, projected on the directions that harm no task (Lopez-Paz and Ranzato, NeurIPS 2017), on the street world.
# Against aux_image_street: the rule behind the same weights. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(type='DualProj'))
