# B on the street world: encoder and depth module alone (Lu et al., CVPR 2020, Table 2). Against aux_image_street: no image
# task, no sharing. RMSE / MAE 714 ± 5 / 173 ± 1 mm with the budget of docs/auxiliary_study.md, three seeds.
_base_ = '../aux_image_street.py'

model = dict(network=dict(sharing=dict(type='NoSharing'), tasks=dict(image=None)))
