# B + I + S with w_img = 0 on the street world, a control that the paper lacks: the same graph, without learning from the image.
# Against aux_image_street: the weight. RMSE / MAE 704 ± 13 / 173 ± 2 mm with the budget of docs/auxiliary_study.md, three
# seeds.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(weights=dict(image=0.0)))
