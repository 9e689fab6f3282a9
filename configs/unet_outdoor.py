# unet_street on drawn streets and real scans, half of each epoch (19 frames of KITTI's training drives, 27 pictures of DDAD): a part of a real
# scan's points is held back and predicted. The control for what the photo does in unet_image_outdoor.
# Against unet_street: data, width 8, 15 epochs, each frame weighs the same, l2 grows up to 16 m only.
_base_ = './unet_street.py'

crop = [
    dict(type='RandomCrop', height=256, width=384),
    dict(type='RandomFlip', probability=0.5),
    dict(type='RandomDepthScale', factor=(0.8, 1.25))]
street_transforms = [*crop, dict(type='RandomPointDropout', ratio=(0.0, 0.3), probability=0.3)]
scan_transforms = [dict(type='HoldBack', share=(0.1, 0.8), visible=True), *crop]
model = dict(
    width=8,
    network=dict(
        tasks=dict(
            depth=dict(
                losses=dict(
                    _delete_=True,
                    l1=dict(type='PerFrame', loss=dict(type='L1')),
                    l2=dict(type='PerFrame', loss=dict(type='SmoothL1', beta=16.0)))))))
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MixedFrames',
        parts=dict(
            street=dict(
                type='KittiDepthCompletion',
                data_root='data/street_wide',
                split='train',
                cameras=(2,),
                transforms=street_transforms),
            kitti=dict(
                type='KittiDepthCompletion',
                data_root='data/kitti',
                split='train',
                cameras=(2,),
                transforms=scan_transforms),
            ddad=dict(type='Folder', data_root='data/ddad', transforms=scan_transforms)),
        times=dict(kitti=11, ddad=8)))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=15, end=15)]
train_cfg = dict(max_epochs=15, val_interval=15)
