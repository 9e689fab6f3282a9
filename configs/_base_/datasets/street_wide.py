# The street world for networks that are to see real scans: KITTI's camera, truth that keeps what is seen past edges (docs/street.md).
# `mtdc test` is for real frames: both cameras, the lower 352 rows.
data_root = 'data/street_wide'
street = dict(seed=0, size=(352, 1216), splits=dict(train=420, val=20), truth='raw', processes=None)

train_dataloader = dict(
    batch_size=6,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(
        type='KittiDepthCompletion',
        data_root=data_root,
        split='train',
        cameras=(2,),
        transforms=[
            dict(type='RandomCrop', height=256, width=384),
            dict(type='RandomFlip', probability=0.5),
            dict(type='RandomDepthScale', factor=(0.8, 1.25)),
            dict(type='RandomPointDropout', ratio=(0.0, 0.3), probability=0.3)]))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='KittiDepthCompletion', data_root=data_root, split='val', cameras=(2,), transforms=[]))
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='KittiDepthCompletion',
        data_root='data/kitti',
        split='val',
        cameras=(2, 3),
        transforms=[dict(type='BottomCrop', height=352, width=1216)]))
