# B + semantics + S: semantic classes in place of the image, so that the graph stays that of B + I + S.
# Against aux_image_kitti: the task. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(
    network=dict(
        tasks=dict(
            image=None,
            semantics=dict(type='SemanticsTask', classes=19, losses=dict(cross_entropy=dict(type='CrossEntropy'))))),
    weighting=dict(weights=dict(semantics=0.3)))

val_evaluator = [
    dict(type='KittiDepthMetric', clamp_m=(0.9, 100.0)),
    dict(type='SemanticsMetric', prefix='semantics')]
