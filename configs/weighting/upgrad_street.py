# UPGrad (Quinton and Rey, 2024) on the street world: gradients projected on the directions that harm no task.
# Against aux_image_street: the rule behind the same weights. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(type='UPGrad'))
