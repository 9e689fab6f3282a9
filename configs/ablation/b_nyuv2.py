# B: encoder and depth module alone. Against aux_image_nyuv2: no image task, no sharing. Here: not trained; in small:
# docs/indoor_study.md.
_base_ = '../aux_image_nyuv2.py'

model = dict(network=dict(sharing=dict(type='NoSharing'), tasks=dict(image=None)))
