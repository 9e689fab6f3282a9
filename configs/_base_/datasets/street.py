# The embedded street world (docs/street.md), written in KITTI's layout before the run and read like KITTI.
data_root = 'data/street'
street = dict(
    seed=0,
    size=(192, 640),
    splits=dict(train=240, val=30),
    extra=('normals', 'semantics'),                 # targets of auxiliary tasks; 'dense' depth is there too
    processes=None)                                 # None: one for each core

train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(
        type='KittiDepthCompletion',
        data_root=data_root,
        split='train',
        cameras=(2,),
        transforms=[dict(type='RandomFlip', probability=0.5)]))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='KittiDepthCompletion', data_root=data_root, split='val', cameras=(2,), transforms=[]))
test_dataloader = val_dataloader
