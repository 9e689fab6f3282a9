"""Training loops that go on exactly where they stopped, also in the middle of an epoch.

mmengine's own loops, resumed from a checkpoint by iteration, either load every frame again that was trained on already, or
start the epoch again and see its frames twice. Here the frames that are done are left out by their numbers, before any is
loaded.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.dist import get_world_size
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from mmengine.runner.base_loop import BaseLoop
from mmengine.runner.utils import calc_dynamic_intervals

from ..errors import ConfigError, did_you_mean

#: Keys of ``train_cfg`` beside those that say how long: ``by_epoch`` with ``max_epochs``, or ``max_iters``.
TRAIN_KEYS = {"type", "by_epoch", "max_epochs", "max_iters", "val_begin", "val_interval", "dynamic_intervals"}


def counts_epochs(train_cfg: Mapping[str, Any]) -> bool:
    """Whether a ``train_cfg`` counts epochs, not iterations."""
    by_epoch = train_cfg.get("by_epoch")
    return bool(train_cfg.get("max_iters") is None if by_epoch is None else by_epoch)


def plain_train_cfg(train_cfg: Mapping[str, Any]) -> dict[str, Any]:
    """A ``train_cfg`` that says ``by_epoch`` and the one length that goes with it; None says nothing.

    Counting iterations, a ``max_epochs`` that a base config gave is left out. One with a ``type`` stays as it is.

    Raises:
        ConfigError: It doesn't say how long to train, or says two things, or has an unknown key.
    """
    for key in train_cfg:
        if key not in TRAIN_KEYS:
            raise ConfigError(f"train_cfg: unexpected key '{key}'.{did_you_mean(key, TRAIN_KEYS)}")
    given = {key: value for key, value in train_cfg.items() if value is not None}
    if not isinstance(given.get("by_epoch", True), bool):
        raise ConfigError(f"train_cfg.by_epoch must be True or False, not {given['by_epoch']!r}.")
    if "type" in given:
        given.pop("by_epoch", None)  # the loop's class says what it counts
        return given
    epochs = counts_epochs(given)
    length, other = ("max_epochs", "max_iters") if epochs else ("max_iters", "max_epochs")
    if length not in given:
        raise ConfigError(f"train_cfg: missing key '{length}', which by_epoch={epochs} asks for.")
    if epochs and other in given:
        raise ConfigError("train_cfg has by_epoch=True and max_iters: set by_epoch=False to train by iterations, or drop it.")
    given.pop(other, None)
    return {**given, "by_epoch": epochs}


def loop_config(train_cfg: Mapping[str, Any]) -> dict[str, Any]:
    """A plain ``train_cfg`` as the Runner takes it: with the loop of this module."""
    if "type" in train_cfg:
        return dict(train_cfg)
    rest = {key: value for key, value in train_cfg.items() if key != "by_epoch"}
    return {"type": "EpochLoop" if counts_epochs(train_cfg) else "IterationLoop", **rest}


def progress_name(runner: Any) -> str:
    """How far a run is, as in ``epoch_3`` or ``iter_1200``: the name of what is written at a validation."""
    return f"iter_{runner.iter}" if isinstance(runner.train_loop, IterBasedTrainLoop) else f"epoch_{runner.epoch}"


class _Rest:
    """A sampler's numbers without those that are done, in its next pass; every pass after that is whole."""

    def __init__(self, sampler: Any) -> None:
        self.sampler = sampler
        self.done = 0

    def __iter__(self) -> Iterator[Any]:
        done, self.done = self.done, 0
        return itertools.islice(self.sampler, done, None)

    def __len__(self) -> int:
        return len(self.sampler)


class _ExactLoop(BaseLoop):  # type: ignore[misc]  # mmengine has no types
    """What both loops share: where they are in the data, and whether a validation is still to be made."""

    #: The pass over the data that is under way, and the iteration at which it began.
    data_epoch = 0
    began_at = 0
    #: What the checkpoint said of that, in a run that goes on from one.
    resumed: Mapping[str, Any] | None = None

    def _watch_sampler(self) -> None:
        if not len(self.dataloader):
            raise ConfigError(
                f"train_dataloader: each of {get_world_size()} processes has fewer frames than batch_size, and drop_last "
                "leaves none. Set a smaller train_dataloader.batch_size."
            )
        batches = self.dataloader.batch_sampler
        self._rest = batches.sampler = _Rest(batches.sampler)

    def position(self, iteration: int) -> dict[str, Any]:
        """Where the data are after so many iterations; goes into the checkpoint, and comes back as ``resumed``."""
        return {"epoch": self.data_epoch, "batches": iteration - self.began_at, **self._steps()}

    def _steps(self) -> dict[str, int]:
        return {
            "batches_per_epoch": len(self.dataloader),
            "batch_size": self.dataloader.batch_sampler.batch_size,
            "processes": get_world_size(),
        }

    def _take_up(self) -> None:
        """Stand where the checkpoint was written: another may be written before the next step, by a validation."""
        if self.resumed is not None:
            self.data_epoch, self.began_at = self.resumed["epoch"], self._iter - self.resumed["batches"]

    def _batches_done(self) -> int:
        """Batches of the epoch under way that are trained on already.

        Raises:
            ConfigError: The run stopped within an epoch, and this one divides its epochs otherwise.
        """
        if self.resumed is None or self.resumed["epoch"] != self.data_epoch:
            return 0
        done, length = self.resumed["batches"], self.resumed["batches_per_epoch"]
        if done == length:  # the epoch's end, of whatever length
            return len(self.dataloader)
        for key, now in self._steps().items():
            if done and now != self.resumed[key]:
                raise ConfigError(
                    f"the checkpoint is {done} of {length} batches into an epoch, with {key}={self.resumed[key]}; here it is "
                    f"{now}, so that the rest of the epoch can't be told. Go on with the same data and settings."
                )
        return int(done)

    def _start(self) -> int:
        """Leave out what is done of the epoch under way, and return how many batches that is."""
        done = self._batches_done()
        self.resumed = None
        self.began_at = self._iter - done
        self._rest.done = done * self.dataloader.batch_sampler.batch_size
        return done

    def _validate_if_due(self, now: int, last: int) -> None:
        """Evaluate where the interval says so, and once only: also before the first step of a run that stopped before it."""
        self._decide_current_val_interval()
        due = self.runner.val_loop is not None and now >= self.val_begin and (now % self.val_interval == 0 or now == last)
        done = self.runner.message_hub.get_info("evaluated_at") == self._iter
        if now and due and (not done or now == last):  # the last is made again: the run's result is missing
            # Noted before: the checkpoint of a new best score is written within the validation.
            self.runner.message_hub.update_info("evaluated_at", self._iter)
            self.runner.val_loop.run()


@LOOPS.register_module()
class EpochLoop(_ExactLoop, EpochBasedTrainLoop):  # type: ignore[misc]
    """mmengine's loop over epochs, which a checkpoint in the middle of one resumes with the epoch's next batch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._watch_sampler()

    def run(self) -> Any:
        """Train, from the start or from where the checkpoint was written."""
        self.runner.call_hook("before_train")
        self._take_up()
        if self.resumed is not None and self.resumed["epoch"] != self._epoch:
            self._validate_if_due(self._epoch, self._max_epochs)
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate_if_due(self._epoch, self._max_epochs)
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        """Train what is left of an epoch."""
        self.data_epoch = self._epoch
        done = self._start()
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        for number, batch in enumerate(self.dataloader, start=done):
            self.run_iter(number, batch)
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1


@LOOPS.register_module()
class IterationLoop(_ExactLoop, IterBasedTrainLoop):  # type: ignore[misc]
    """mmengine's loop over iterations, on epochs of data like the other: each frame once, then the next epoch's order."""

    def __init__(
        self,
        runner: Any,
        dataloader: Any,
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1000,
        dynamic_intervals: list[tuple[int, int]] | None = None,
    ) -> None:
        # Not mmengine's constructor, which starts to load the first batches of the first epoch at once.
        BaseLoop.__init__(self, runner, dataloader)
        self._max_iters, self._max_epochs = max_iters, 1
        self._epoch = self._iter = 0
        self.val_begin, self.val_interval = val_begin, val_interval
        self.stop_training = False
        self.dynamic_milestones, self.dynamic_intervals = calc_dynamic_intervals(val_interval, dynamic_intervals)
        runner.visualizer.dataset_meta = getattr(self.dataloader.dataset, "metainfo", None)
        self._watch_sampler()

    def _batches(self) -> Iterator[Any]:
        while True:
            if hasattr(self._rest.sampler, "set_epoch"):
                self._rest.sampler.set_epoch(self.data_epoch)
            self._start()
            yield from self.dataloader
            self.data_epoch += 1

    def run(self) -> Any:
        """Train, from the start or from where the checkpoint was written."""
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")  # mmengine takes the whole training for one epoch
        self._take_up()
        if self.resumed is not None:
            self._validate_if_due(self._iter, self._max_iters)
        batches = self._batches()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(batches))
            self._validate_if_due(self._iter, self._max_iters)
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model
