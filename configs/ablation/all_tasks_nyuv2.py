# All auxiliary tasks at once: image, surface normals and 40 semantic classes, shared by the paper's sum.
# Against aux_image_nyuv2: two more tasks. Here: not trained; in small: docs/indoor_study.md.
_base_ = '../aux_image_nyuv2.py'

model = dict(
    network=dict(
        tasks=dict(
            normals=dict(type='NormalsTask', losses=dict(cosine=dict(type='Cosine'))),
            semantics=dict(type='SemanticsTask', classes=40, losses=dict(cross_entropy=dict(type='CrossEntropy'))))),
    weighting=dict(weights=dict(normals=1.0, semantics=0.3)))

val_evaluator = [
    dict(type='NYUv2DepthMetric', clamp_m=(0.1, 10.0), score_given=True),
    dict(type='ImageMetric', prefix='image'),
    dict(type='NormalsMetric', prefix='normals'),
    dict(type='SemanticsMetric', classes=40, prefix='semantics')]
