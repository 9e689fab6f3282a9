# NDDR-CNN with shortcuts from all stages to the heads (Gao et al., CVPR 2019) on the street world.
# Against nddr_street: the shortcut. Here: not trained.
_base_ = './nddr_street.py'

model = dict(network=dict(sharing=dict(shortcut=True)))
