# unet_outdoor with the photo, which is needed at test time: it has an encoder of its own, joined at each stride (late fusion: Lu et al., CVPR
# 2020, Fig. 2d). What a photo says is learnt from real ones; on drawn streets it is gray all over.
# Against unet_outdoor: representation, encoder, photos. Three runs, 12 minutes of one core each: RMSE / MAE 921 / 250 mm on the real frames
# of drive 0001, which is no sure gain (docs/street_ledger.md).
_base_ = './unet_outdoor.py'

street_photo = [dict(type='RandomImageDropout', probability=1.0)]
scan_photo = [
    dict(type='ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3, grayscale=0.15),
    dict(type='RandomImageDropout', probability=0.25)]
model = dict(
    network=dict(
        representation=dict(type='RelativeFill', image=True),
        encoder=dict(_delete_=True, type='LateFusionEncoder', depth=dict(type='ResidualEncoder'))))
train_dataloader = dict(
    dataset=dict(
        parts=dict(
            street=dict(transforms=_base_.street_transforms + street_photo),
            kitti=dict(transforms=_base_.kitti_transforms + scan_photo),
            ddad=dict(transforms=_base_.ddad_transforms + scan_photo))))
val_dataloader = dict(dataset=dict(transforms=street_photo))
