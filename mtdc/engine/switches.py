"""Switches of training that go together and survive a resume: accumulation, clipping, averaged weights (EMA), torch.compile."""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS, OPTIM_WRAPPERS
from mmengine.runner import Runner

from ..errors import ConfigError, did_you_mean

#: torch's own default of ``torch.compile``: it writes C++ on a CPU.
DEFAULT_BACKEND = "inductor"
CLIPPING = {"norm": torch.nn.utils.clip_grad_norm_, "value": torch.nn.utils.clip_grad_value_}


@OPTIM_WRAPPERS.register_module(name="OptimWrapper", force=True)
class WindowOptimWrapper(OptimWrapper):  # type: ignore[misc]  # mmengine has no types
    """mmengine's optimiser wrapper, whose windows of ``accumulative_counts`` batches end with the epoch and survive a resume.

    mmengine counts windows over the whole run: one that reaches into the next epoch is lost where the run is interrupted
    between the two, and one that a checkpoint cuts is lost too. Here the last window of an epoch is as long as what is left
    (its gradient is the mean of that many batches), and a checkpoint inside a window holds the gradient gathered so far.
    Processes average their gradients at each batch, so that the one that writes the checkpoint has all of it.

    For float16 the loss is scaled, and with it the gradients until they are clipped and used (``scaler``).
    """

    #: Epochs of the run; 1 where it counts iterations.
    epochs: int = 1

    def __init__(self, optimizer: Any, accumulative_counts: int = 1, clip_grad: dict[str, Any] | None = None) -> None:
        super().__init__(optimizer, accumulative_counts, clip_grad)
        self.scaler = torch.amp.GradScaler(enabled=False)
        self._span = 0

    def initialize_count_status(self, model: Any, init_counts: int, max_counts: int) -> None:
        """Where the run stands: batches done, and batches in all."""
        self._inner_count, self._max_counts = init_counts, max_counts
        self._span = max_counts // self.epochs

    def _place(self) -> int:
        """Batches done in this epoch; 0 at its end."""
        return self._inner_count % self._span if self._span else self._inner_count

    def should_update(self) -> bool:
        """Whether the last batch ended a window."""
        return self._place() % self._accumulative_counts == 0

    def should_sync(self) -> bool:
        """Always: see the class."""
        return True

    def scale_loss(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss over the length of its window: the window's gradient is the mean of its batches'."""
        length, place = self._accumulative_counts, self._place()
        if self._span:
            length = min(length, self._span - (place - place % length))
        return loss / length

    def backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        """Add the batch's gradient."""
        self.scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs: Any) -> None:
        """Clip and step; a float16 step whose gradients overflowed is left out, as the scaler does."""
        if self.clip_grad_kwargs:
            self.scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.scaler.step(self.optimizer, **kwargs)
        self.scaler.update()

    def _parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's, with the open window's gradient and the scaler's state where there are any."""
        state: dict[str, Any] = super().state_dict()
        if not self.should_update():
            state["open_window"] = [parameter.grad for parameter in self._parameters()]
        if self.scaler.is_enabled():
            state["loss_scaler"] = self.scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        state = dict(state_dict)
        gradients, scaler = state.pop("open_window", None), state.pop("loss_scaler", None)
        super().load_state_dict(state)
        if gradients is not None:
            for parameter, gradient in zip(self._parameters(), gradients, strict=True):
                parameter.grad = None if gradient is None else gradient.to(parameter.device)
        if scaler and self.scaler.is_enabled():
            self.scaler.load_state_dict(scaler)


@HOOKS.register_module(name="EMAHook", force=True)
class AveragedWeightsHook(EMAHook):  # type: ignore[misc]
    """mmengine's moving average of the weights, taken once a step of the optimiser, with batch norm's running values.

    average <- (1 - momentum) average + momentum weights. The averaged weights are those that are evaluated and that a
    checkpoint's ``state_dict`` holds; the trained ones are beside them for a resume.

    Args:
        momentum: Part of the new weights in the average.
        begin_epoch, begin_iter: When averaging begins (one of the two); until then the average is the weights.
        interval: Steps from one update of the average to the next.

    Raises:
        ValueError: A number that can't be.
    """

    def __init__(self, momentum: float = 0.001, begin_epoch: int = 0, begin_iter: int = 0, interval: int = 1) -> None:
        if not isinstance(momentum, (int, float)) or not 0 < momentum < 1:
            raise ValueError(f"momentum must be a number between 0 and 1, not {momentum!r}")
        for name, value, least in (("begin_epoch", begin_epoch, 0), ("begin_iter", begin_iter, 0), ("interval", interval, 1)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number from {least} on, not {value!r}")
        if begin_epoch and begin_iter:
            raise ValueError("begin_epoch and begin_iter can't both be set")
        super().__init__(
            strict_load=True, begin_iter=begin_iter, begin_epoch=begin_epoch,
            momentum=float(momentum), interval=interval, update_buffers=True,
        )  # fmt: skip

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Update the average, unless the batch only added to a gradient."""
        if not runner.optim_wrapper.should_update():
            return
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        for average, own in zip(self.ema_model.module.buffers(), self.src_model.buffers(), strict=True):
            if not average.is_floating_point():  # a count has no average, and mmengine leaves it as it was at first
                average.copy_(own)


class CompilingRunner(Runner):  # type: ignore[misc]
    """mmengine's Runner, which compiles the network alone.

    mmengine compiles the whole training step, with the optimiser and the bookkeeping around it, and again when a counter of
    theirs changes.
    """

    def _maybe_compile(self, target: str) -> None:
        options = compile_options(self.cfg)
        if options is not None:
            model = self.model.module if is_model_wrapper(self.model) else self.model
            model.compile_network(**options)


def compile_options(cfg: Config) -> dict[str, Any] | None:
    """Arguments of ``torch.compile`` that a config's ``compile`` gives; None where it is off."""
    value = cfg.get("compile")
    if value is None or value is False:
        return None
    return {} if value is True else dict(value)


def ema_hook(cfg: Config) -> dict[str, Any] | None:
    """The hook that a config's ``ema`` asks for; None where it is off."""
    value = cfg.get("ema")
    return None if value is None or value is False else {"type": "EMAHook", **value}


def check_switches(cfg: Config) -> None:
    """Refuse switches that would fail after the start.

    Raises:
        ConfigError: The key, and what it takes.
    """
    _check_ema(cfg)
    _check_compile(cfg)
    _check_optimiser(cfg.optim_wrapper)
    if cfg.get("sync_batch_norm") not in (None, True, False):
        raise ConfigError(f"sync_batch_norm must be True or False, not {cfg.sync_batch_norm!r}.")


def _check_ema(cfg: Config) -> None:
    value = cfg.get("ema")
    if value is None or value is False:
        return
    if not isinstance(value, Mapping):
        raise ConfigError(f"ema must be None or a dict such as dict(momentum=0.001), not {value!r}.")
    _check_keys(value, AveragedWeightsHook.__init__, "ema")
    try:
        hook = AveragedWeightsHook(**value)
    except ValueError as error:
        raise ConfigError(f"ema.{error}.") from error
    for name, last in (("begin_epoch", "max_epochs"), ("begin_iter", "max_iters")):
        most = cfg.train_cfg.get(last)
        if isinstance(most, int) and getattr(hook, name) > most:
            raise ConfigError(f"ema.{name}={getattr(hook, name)} is after the end: train_cfg.{last}={most}.")
    if any(other.get("type") == "EMAHook" for other in cfg.get("custom_hooks") or ()):
        raise ConfigError("ema is set, and custom_hooks has an EMAHook too: leave one of them.")


def _check_compile(cfg: Config) -> None:
    value = cfg.get("compile")
    if value is not None and not isinstance(value, (bool, Mapping)):
        raise ConfigError(f"compile must be True, False or a dict such as dict(backend='aot_eager'), not {value!r}.")
    options = compile_options(cfg)
    if options is None:
        return
    _check_keys(options, torch.compile, "compile", given={"model", "disable"})
    backend = options.get("backend", DEFAULT_BACKEND)
    known = torch._dynamo.list_backends(exclude_tags=())
    if backend not in known:
        raise ConfigError(f"compile.backend='{backend}' is not known.{did_you_mean(str(backend), known)}")
    compiler = os.environ.get("CXX") or "g++"
    if backend == DEFAULT_BACKEND and not torch.cuda.is_available() and not (shutil.which(compiler) or shutil.which("clang++")):
        raise ConfigError(
            f"compile with the backend 'inductor' needs a C++ compiler on a CPU, and there is no {compiler}: install one "
            "(Debian, Ubuntu: apt install g++), or set --cfg-options compile=False."
        )


def _check_optimiser(wrapper: Mapping[str, Any]) -> None:
    if wrapper.get("type") in ("AmpOptimWrapper", "ApexOptimWrapper"):
        raise ConfigError(
            f"optim_wrapper.type='{wrapper['type']}': precision is the model's here. Set --cfg-options "
            "optim_wrapper.type=OptimWrapper model.precision=bfloat16 (or float16, with its gradient scaler, on a GPU)."
        )
    counts, clipping = wrapper.get("accumulative_counts", 1), wrapper.get("clip_grad")
    if not isinstance(counts, int) or isinstance(counts, bool) or counts < 1:
        raise ConfigError(f"optim_wrapper.accumulative_counts must be a whole number from 1 on, not {counts!r}.")
    if clipping is None:
        return
    where = "optim_wrapper.clip_grad"
    if not isinstance(clipping, Mapping):
        raise ConfigError(f"{where} must be None or a dict such as dict(max_norm=10), not {clipping!r}.")
    kind = clipping.get("type", "norm")
    if kind not in CLIPPING:
        raise ConfigError(f"{where}.type='{kind}' is not known.{did_you_mean(str(kind), CLIPPING)}")
    options = {key: value for key, value in clipping.items() if key != "type"}
    _check_keys(options, CLIPPING[kind], where, given={"parameters"})
    limit = "max_norm" if kind == "norm" else "clip_value"
    if not isinstance(options.get(limit), (int, float)) or not options[limit] > 0:
        raise ConfigError(f"{where}.{limit} must be a number above 0, not {options.get(limit)!r}.")


def _check_keys(values: Mapping[str, Any], function: Any, where: str, given: set[str] | None = None) -> None:
    known = set(inspect.signature(function).parameters) - {"self"} - (given or set())
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}: unexpected key '{key}'.{did_you_mean(key, known)}")
