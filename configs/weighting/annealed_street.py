# Fixed weights, that of the image falling linearly to 0 in the course of training, on the street world.
# Against aux_image_street: the schedule. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(type='AnnealedWeighting', schedule=dict(shape='linear', start=1.0, end=0.0)))
