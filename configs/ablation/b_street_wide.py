# B on the wide street world: encoder and depth module alone (Lu et al., CVPR 2020, Table 2). Against aux_image_street_wide: no image
# task, no sharing. One run, 30 minutes of one core: RMSE / MAE 865.4 / 221.5 mm on the real frames of drive 0001.
_base_ = '../aux_image_street_wide.py'

model = dict(network=dict(sharing=dict(type='NoSharing'), tasks=dict(image=None)))
