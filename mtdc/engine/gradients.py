"""Lengths and directions of the tasks' gradients in the log."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS


@HOOKS.register_module()
class GradientLogHook(Hook):
    """Logs ``<task>/grad_norm`` and ``<task>/grad_cosine`` to the primary task, at shared parameters, every N steps.

    Training is not changed by it, to the last bit; such a step costs a backward pass more for each task.
    ``tools/plot_gradients.py`` draws them.

    Args:
        interval: Steps between two.
        primary: The task that directions are compared with.

    Raises:
        ValueError: An interval below 1.
    """

    #: After the loop counts the step and before the model takes it.
    priority = "NORMAL"

    def __init__(self, interval: int = 50, primary: str = "depth") -> None:
        if isinstance(interval, bool) or not isinstance(interval, int) or interval < 1:
            raise ValueError(f"interval must be a whole number of steps from 1 on, not {interval!r}")
        self.interval, self.primary = interval, primary

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Ask for the gradients of this step, where it is one of them."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.gradient_log = self.primary if runner.iter % self.interval == 0 else None

    def after_train(self, runner: Any) -> None:
        """Ask no more."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.gradient_log = None
