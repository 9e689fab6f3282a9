randomness = dict(seed=0)
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=10),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'))
custom_hooks = [
    dict(type='PlainCheckpointHook'),
    dict(type='IterationSeedHook'),
    dict(type='PanelHook', frames=4)]
log_level = 'INFO'
sync_batch_norm = False         # True: batch norm over the frames of all processes
