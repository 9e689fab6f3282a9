"""What the training engine (mmengine) needs to be told: hooks, checkpoints, runs."""
