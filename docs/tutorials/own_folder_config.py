# ruff: noqa: C408, D100
# The paper's model on a folder of one's own frames, as small as the tutorial is short (docs/tutorials/own_folder.md). For real
# work: copy this file, and give it width=16, a crop of some 256x384, batches of 4 to 8 and epochs that make some 3,000 steps.
_base_ = "{{$MTDC_CONFIGS:configs}}/aux_image_street.py"

data_root = "my_frames"  # --data-root DIR puts another in its place
street = None  # nothing is drawn before the training
model = dict(width=4, precision="float32", channels_last=False)

train_dataloader = dict(
    batch_size=2,
    num_workers=0,  # in-process; 2 to 4 for large frames
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type="Folder",
        data_root=data_root,
        split="train",
        transforms=[
            dict(type="RandomCrop", height=64, width=256),  # no larger than the smallest frame
            dict(type="RandomFlip", probability=0.5),
        ],
    ),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(_delete_=True, type="Folder", data_root=data_root, split="val", transforms=[]),
)
test_dataloader = val_dataloader

epochs = 10
param_scheduler = [dict(type="CosineAnnealingLR", by_epoch=True, convert_to_iter_based=True, T_max=epochs, end=epochs)]
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=epochs)
