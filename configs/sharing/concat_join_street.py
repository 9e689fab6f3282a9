# Nothing exchanged before the heads, which read both streams side by side, on the street world.
# Against aux_image_street: the sharing. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(network=dict(sharing=dict(_delete_=True, type='ConcatSharing', at='join')))
