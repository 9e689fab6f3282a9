# Cross-stitch units that give depth's stream to the image and nothing back, so that depth needs no image trunk at test time.
# Against cross_stitch_street: one_way. Here: not trained.
_base_ = './cross_stitch_street.py'

model = dict(network=dict(sharing=dict(one_way=True)))
