# A U-Net from a fill for rooms and a few hundred random points, trained on the 795 frames of NYUv2 with image, normals and semantics as auxiliary
# tasks, which share all but the heads with depth. Against ablation/b_unet_nyuv2: the three tasks and their sharing.
# One run, 72 minutes of one core: RMSE / MAE 159.7 / 61.7 mm on val.
_base_ = './ablation/b_unet_nyuv2.py'

model = dict(
    network=dict(
        sharing=dict(_delete_=True, type='HardSharing'),
        tasks=dict(
            image=dict(type='ImageTask', upsampling='sub_pixel', losses=dict(l2=dict(type='L2'))),
            normals=dict(type='NormalsTask', upsampling='sub_pixel', losses=dict(cosine=dict(type='Cosine'))),
            semantics=dict(
                type='SemanticsTask',
                classes=40,
                upsampling='sub_pixel',
                losses=dict(cross_entropy=dict(type='CrossEntropy', every=2))))),
    weighting=dict(weights=dict(image=2e-6, normals=0.1, semantics=0.005)))
