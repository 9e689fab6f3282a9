# B + N + S: surface normals in place of the image, so that the graph stays that of B + I + S. Against aux_image_street: the
# task. RMSE / MAE 718 ± 5 / 173 ± 1 mm with the budget of docs/auxiliary_study.md, three seeds.
_base_ = '../aux_image_street.py'

model = dict(
    network=dict(
        tasks=dict(image=None, normals=dict(type='NormalsTask', upsampling='sub_pixel', losses=dict(cosine=dict(type='Cosine'))))),
    weighting=dict(weights=dict(normals=1.0)))

val_evaluator = [
    dict(type='KittiDepthMetric', clamp_m=(0.9, 100.0)),
    dict(type='NormalsMetric', prefix='normals')]
