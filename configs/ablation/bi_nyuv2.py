# B + I: the image task shares the encoder and nothing else. Against aux_image_nyuv2: no sharing. Here: not trained; in small:
# docs/indoor_study.md.
_base_ = '../aux_image_nyuv2.py'

model = dict(network=dict(sharing=dict(type='NoSharing')))
