# Dynamic weight average (Liu, Johns, Davison, CVPR 2019): a task whose loss falls slowly weighs more; a period is an epoch.
# Against aux_image_street: the weighting; the image's factor 1e-4 stands in front of it. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(type='DWA', period=60))
