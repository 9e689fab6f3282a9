# Normalized convolutions with confidence propagation (Eldesokey et al., TPAMI 2020) as the encoder, on the street world.
# Against aux_image_street: encoder, and sparse depth with its mask as input, without a fill. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(
    network=dict(
        representation=dict(type='SparseDepthMask'),
        encoder=dict(_delete_=True, type='NormalizedConvEncoder', kernels=(5, 5, 3, 3))))
