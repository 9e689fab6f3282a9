# Completion without weights: guided filter. Evaluate it as it is; there is nothing to train.
_base_ = ['../_base_/datasets/kitti.py', '../_base_/evaluation.py', '../_base_/runtime.py']

model = dict(type='MultiTaskModel', network=dict(type='ClassicalNetwork', method=dict(type='GuidedFilter')))
