# B + N + S: surface normals, fitted to the depth, in place of the image, so that the graph stays that of B + I + S.
# Against aux_image_nyuv2: the task. Here: not trained; in small: docs/indoor_study.md.
_base_ = '../aux_image_nyuv2.py'

model = dict(
    network=dict(
        tasks=dict(image=None, normals=dict(type='NormalsTask', losses=dict(cosine=dict(type='Cosine'))))),
    weighting=dict(weights=dict(normals=1.0)))

val_evaluator = [
    dict(type='NYUv2DepthMetric', clamp_m=(0.1, 10.0), score_given=True),
    dict(type='NormalsMetric', prefix='normals')]
