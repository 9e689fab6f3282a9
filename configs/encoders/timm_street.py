# A backbone of timm in place of the paper's encoder: ResNet-18 without downloaded weights, on the street world.
# Against aux_image_street: encoder, and a trunk that starts at its stride of 32. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(
    network=dict(
        encoder=dict(_delete_=True, type='TimmEncoder', name='resnet18'),
        trunk=dict(strides=(16, 8, 4, 2, 2), multiples=(16, 16, 8, 4, 4))))
