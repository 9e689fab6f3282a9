# B + semantics + S: 40 semantic classes in place of the image, so that the graph stays that of B + I + S.
# Against aux_image_nyuv2: the task. Here: not trained; in small: docs/indoor_study.md.
_base_ = '../aux_image_nyuv2.py'

model = dict(
    network=dict(
        tasks=dict(
            image=None,
            semantics=dict(type='SemanticsTask', classes=40, losses=dict(cross_entropy=dict(type='CrossEntropy'))))),
    weighting=dict(weights=dict(semantics=0.3)))

val_evaluator = [
    dict(type='NYUv2DepthMetric', clamp_m=(0.1, 10.0), score_given=True),
    dict(type='SemanticsMetric', classes=40, prefix='semantics')]
