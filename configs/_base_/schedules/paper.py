# Lu et al., CVPR 2020, section 4.1: Adam, 1e-3 halved every five epochs. The number of epochs is ours.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [dict(type='StepLR', by_epoch=True, step_size=5, gamma=0.5)]
train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=1)
