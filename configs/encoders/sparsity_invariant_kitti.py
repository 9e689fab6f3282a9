# Sparsity-invariant convolutions with mask propagation (Uhrig et al., 3DV 2017) as the encoder.
# Against aux_image_kitti: encoder, and sparse depth with its mask as input. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(
    network=dict(
        representation=dict(type='SparseDepthMask'),
        encoder=dict(_delete_=True, type='SparsityInvariantEncoder', kernels=(11, 7, 5, 3))))
