# The paper's indoor set-up: B + I + S on NYUv2, 500 points, l2 (Lu et al., CVPR 2020, section 4.3 and Table 3).
# The paper: RMSE 0.125 m, REL 0.030, from about 50,000 frames of video and 654 test frames. Here: not trained.
# Against aux_image_kitti: the data, their mean depth and range. What the paper leaves open and we chose is marked "ours".
_base_ = ['_base_/datasets/nyuv2.py', '_base_/schedules/paper.py', '_base_/runtime.py']

model = dict(
    type='MultiTaskModel',
    width=16,                                                       # ours: one number scales the whole network
    network=dict(
        type='MultiTaskNetwork',
        representation=dict(type='SparseDepth'),                    # raw metres, empty pixels 0
        encoder=dict(
            type='MultiKernelEncoder',
            kernels=(3, 5, 7, 9),
            multiples=(1, 2, 4, 8),                                 # ours: channels of a branch, times width
            strides=(2, 2, 2, 2)),                                  # ours: four layers to 1/16
        trunk=dict(
            type='TransposedConvTrunk',
            strides=(8, 4, 2, 2),                                   # the paper: 1/16 to 1/2; ours: N_t = 4
            multiples=(16, 8, 4, 4)),                               # ours
        sharing=dict(type='SumSharing'),                            # Eqs. 8 to 11
        tasks=dict(
            depth=dict(
                type='DepthTask',
                mean_depth_m=2.8,                                   # ours: about NYUv2's mean
                range_m=(0.1, 10.0),                                # ours: clamp at test time
                losses=dict(l2=dict(type='L2'))),                   # Eq. 13
            image=dict(
                type='ImageTask',                                   # gray, 0..255
                losses=dict(l2=dict(type='L2'))))),                 # Eq. 14
    weighting=dict(type='FixedWeighting', weights=dict(depth=1.0, image=1e-4)))     # Eq. 15; the paper names no other for NYUv2
