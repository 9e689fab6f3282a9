# B + I on the street world: the image task shares the encoder and nothing else (Lu et al., CVPR 2020, Table 2). Against
# aux_image_street: no sharing. RMSE / MAE 709 ± 3 / 173 ± 1 mm with the budget of docs/auxiliary_study.md, three seeds.
_base_ = '../aux_image_street.py'

model = dict(network=dict(sharing=dict(type='NoSharing')))
