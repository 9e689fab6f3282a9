# B + gradients of the image + S: its structure without its intensity, on the street world. Against aux_image_street: the task.
# Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(
    network=dict(
        tasks=dict(
            image=None,
            image_gradients=dict(type='ImageGradientsTask', upsampling='sub_pixel', losses=dict(l1=dict(type='L1'))))),
    weighting=dict(weights=dict(image_gradients=0.01)))
