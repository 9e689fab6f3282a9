# A model of the zoo trained further on scans of one's own sensor, without ground truth: a fifth of each scan's points is held back and
# learnt, but for those that nearer ones surround. Against unet_street_lines, whose weights it starts from: data, a quarter of the
# learning rate, 300 steps. docs/howto/own_scans.md has the commands. One run on 9 pictures of DDAD: RMSE / MAE 4009 / 1202 to 3350 / 964 mm
# on held-back points of another scene.
_base_ = './unet_street_lines.py'

street = None
train_dataloader = dict(
    num_workers=0,
    dataset=dict(
        _delete_=True,
        type='Folder',
        data_root='mine',
        transforms=[
            dict(type='HoldBack', share=0.2, visible=True),
            dict(type='RandomCrop', height=256, width=384),
            dict(type='RandomFlip', probability=0.5),
            dict(type='RandomDepthScale', factor=(0.8, 1.25))]))
val_dataloader = None
val_cfg = None
val_evaluator = None
baselines = None
test_dataloader = dict(
    dataset=dict(_delete_=True, type='Folder', data_root='mine', transforms=[dict(type='HoldBack', every=2, visible=True)]))
test_evaluator = [dict(type='NYUv2DepthMetric', clamp_m=(0.9, 100.0), truth_range_m=(0.9, 100.0))]
load_from = None
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, T_max=300, end=300)]
train_cfg = dict(_delete_=True, by_epoch=False, max_iters=300)
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=100))
