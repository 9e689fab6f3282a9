# B + I + S with l1 alone on depth, on the street world (Lu et al., CVPR 2020, Table 1). Against aux_image_street: depth's loss.
# Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(network=dict(tasks=dict(depth=dict(losses=dict(l2=None)))))
