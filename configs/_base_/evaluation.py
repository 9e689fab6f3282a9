# The benchmark's metrics, and methods without weights, evaluated on the same frames when training ends.
val_evaluator = dict(type='KittiDepthMetric', clamp_m=(0.9, 100.0))
test_evaluator = val_evaluator
baselines = dict(
    nearest=dict(type='Nearest'),
    linear=dict(type='Linear'),
    morphological=dict(type='Morphological'))
val_cfg = dict()
test_cfg = dict()
