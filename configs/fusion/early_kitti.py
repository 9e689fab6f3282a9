# Early fusion (Lu et al., CVPR 2020, Fig. 2c): the photo beside the sparse depth, read by one encoder; depth is the one task, and the
# photo is needed at test time. Against aux_image_kitti: representation, no image task, no sharing. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(
    network=dict(
        representation=dict(type='SparseDepthImage'),
        sharing=dict(type='NoSharing'),
        tasks=dict(image=None)))
