# KITTI depth completion (Uhrig et al., 3DV 2017). The reader recognises the usual folder trees: docs/datasets.md.
data_root = 'data/kitti'
crop = dict(type='BottomCrop', height=352, width=1216)

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(
        type='KittiDepthCompletion',
        data_root=data_root,
        split='train',
        transforms=[crop, dict(type='RandomFlip', probability=0.5)]))

# The 1,000 selected frames where they are, else every frame of the validation drives.
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='KittiDepthCompletion',
        data_root=data_root,
        split=('val_selection_cropped', 'val'),
        transforms=[crop]))
test_dataloader = val_dataloader
