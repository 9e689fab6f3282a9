# A backbone of timm in place of the paper's encoder: ConvNeXt without downloaded weights, on KITTI. Against aux_image_kitti: encoder,
# and a trunk that starts at its stride of 32, with skip connections where the backbone has maps (4, 8 and 16). Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(
    network=dict(
        encoder=dict(_delete_=True, type='TimmEncoder', name='convnext_atto'),
        trunk=dict(strides=(16, 8, 4, 2, 2), multiples=(16, 16, 8, 4, 4), skips='where_present')))
