# Sluice networks (Ruder et al., AAAI 2019): two subspaces a task, orthogonal, and all stages mixed.
# Against aux_image_kitti: the sharing, whose alphas and betas learn ten times as fast. Here: not trained.
_base_ = '../aux_image_kitti.py'

model = dict(network=dict(sharing=dict(_delete_=True, type='Sluice', subspaces=2, orthogonality=0.01)))
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'sharing.alphas': dict(lr_mult=10.0),
            'sharing.betas': dict(lr_mult=10.0)}))
