"""How far training is, for what is annealed."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS


@HOOKS.register_module()
class ProgressHook(Hook):
    """Tells the model before every training step which share of the training is done: 0 at the first, just below 1 at the last.

    It is computed from the step's number, so that a resumed run goes on where it was. A run that is resumed with another length
    counts by the new length from there on.
    """

    #: Before the hooks of a config, which may read it.
    priority = "VERY_HIGH"

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Set the share that is done before this step."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.set_progress(runner.iter / max(runner.max_iters, 1))
