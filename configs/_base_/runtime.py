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
ema = None                      # dict(momentum=0.001): average the weights; the averaged ones are evaluated and saved
compile = None                  # True, or dict(backend=...): torch.compile, in training
sync_batch_norm = False         # True: batch norm over the frames of all processes
