# The street world for networks that are to see real scans: KITTI's camera, truth that keeps what is seen past edges (docs/street.md).
# `mtdc test` is for real frames: both cameras, the lower 352 rows.
_base_ = './street.py'

data_root = 'data/street_wide'
street = dict(size=(352, 1216), splits=dict(train=420, val=20), extra=(), truth='raw')
train_dataloader = dict(
    batch_size=6,
    dataset=dict(
        data_root=data_root,
        transforms=[
            dict(type='RandomCrop', height=256, width=384),
            dict(type='RandomFlip', probability=0.5),
            dict(type='RandomDepthScale', factor=(0.8, 1.25)),
            dict(type='RandomPointDropout', ratio=(0.0, 0.3), probability=0.3)]))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(
    dataset=dict(
        data_root='data/kitti',
        cameras=(2, 3),
        transforms=[dict(type='BottomCrop', height=352, width=1216)]))
