# Normalized convolutions with confidence propagation (Eldesokey et al., TPAMI 2020) as the encoder.
# Against aux_image_kitti: encoder, and sparse depth with its mask as input. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(
    network=dict(
        representation=dict(type='SparseDepthMask'),
        encoder=dict(_delete_=True, type='NormalizedConvEncoder', kernels=(5, 5, 3, 3))))
