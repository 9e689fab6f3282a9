# Sparsity-invariant convolutions with mask propagation (Uhrig et al., 3DV 2017) as the encoder, on the street world.
# Against aux_image_street: encoder, and sparse depth with its mask as input, without a fill. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(
    network=dict(
        representation=dict(type='SparseDepthMask'),
        encoder=dict(_delete_=True, type='SparsityInvariantEncoder', kernels=(11, 7, 5, 3))))
