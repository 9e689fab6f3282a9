# The unguided network of normalized convolutions (Eldesokey et al., TPAMI 2020, NConv-CNN), 481 weights, on the street world.
# Against aux_image_street: the whole network; depth is its one task. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(
    network=dict(
        _delete_=True,
        type='NormalizedConvNetwork',
        channels=2,
        tasks=dict(depth=dict(losses=dict(l1=dict(type='L1'), l2=dict(type='L2', weight=0.1)), range_m=(0.9, 100.0)))))
optim_wrapper = dict(optimizer=dict(lr=1e-2))
