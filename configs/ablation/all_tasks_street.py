# All auxiliary tasks at once: image, surface normals and semantic classes, shared by the paper's sum. Against aux_image_street:
# two more tasks. RMSE / MAE 725 ± 9 / 174 ± 1 mm with the budget of docs/auxiliary_study.md, three seeds.
_base_ = '../aux_image_street.py'

model = dict(
    network=dict(
        tasks=dict(
            normals=dict(type='NormalsTask', upsampling='sub_pixel', losses=dict(cosine=dict(type='Cosine'))),
            semantics=dict(type='SemanticsTask', upsampling='sub_pixel', classes=19, losses=dict(cross_entropy=dict(type='CrossEntropy'))))),
    weighting=dict(weights=dict(normals=1.0, semantics=0.3)))

val_evaluator = [
    dict(type='KittiDepthMetric', clamp_m=(0.9, 100.0)),
    dict(type='ImageMetric', prefix='image'),
    dict(type='NormalsMetric', prefix='normals'),
    dict(type='SemanticsMetric', prefix='semantics')]
