# B + semantics + S: semantic classes in place of the image, so that the graph stays that of B + I + S. Against
# aux_image_street: the task. RMSE / MAE 715 ± 11 / 174 ± 2 mm with the budget of docs/auxiliary_study.md, three seeds.
_base_ = '../aux_image_street.py'

model = dict(
    network=dict(
        tasks=dict(
            image=None,
            semantics=dict(type='SemanticsTask', upsampling='sub_pixel', classes=19, losses=dict(cross_entropy=dict(type='CrossEntropy'))))),
    weighting=dict(weights=dict(semantics=0.3)))

val_evaluator = [
    dict(type='KittiDepthMetric', clamp_m=(0.9, 100.0)),
    dict(type='SemanticsMetric', prefix='semantics')]
