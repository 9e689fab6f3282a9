# Completion without weights on VOID: linear. Evaluate it as it is; there is nothing to train.
_base_ = ['../_base_/datasets/void.py', '../_base_/runtime.py']

model = dict(type='MultiTaskModel', network=dict(type='ClassicalNetwork', method=dict(type='Linear')))
