# ruff: noqa: C408, D100 (a config)
# The training that tools/kill_test.py kills: tiny, with everything in it that a resumed run could get wrong.
_base_ = "{{$MTDC_CONFIGS:configs}}/aux_image_kitti.py"

crop = dict(type="BottomCrop", height=32, width=64)
model = dict(
    width=1, precision="float32", channels_last=False, network=dict(representation=dict(type="killing.parts.DroppedDepth"))
)
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(transforms=[crop, dict(type="RandomFlip", probability=0.5)]))
val_dataloader = dict(num_workers=0, dataset=dict(transforms=[crop]))
test_dataloader = val_dataloader
train_cfg = dict(by_epoch=True, max_epochs=6, val_interval=2)
param_scheduler = [dict(type="ExponentialLR", by_epoch=False, gamma=0.97)]
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1, by_epoch=True, max_keep_ckpts=1, save_best="rmse"))
custom_hooks = [dict(type="killing.parts.SlowWrites", pieces=6, pause_s=0.004), dict(type="PanelHook", frames=1)]
ema = dict(momentum=0.1)
visualizer = dict(type="Visualizer", vis_backends=[dict(type="LocalVisBackend")])
baselines = None
