"""The model that the engine trains: a network, its losses and their weighting."""

from __future__ import annotations

import importlib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import Tensor

from .contracts import Batch, Network, Task, TaskOutput, Weighting
from .data.preprocessor import BatchPreprocessor, unpad
from .errors import ConfigError, did_you_mean
from .gradients import feature_gramian, gradient_log, inner_products, shared_gradients
from .registry import NETWORKS, WEIGHTING, build, config_path
from .structures import INPUT_FIELDS, TARGET_FIELDS, DepthSample, Field

#: What training replaces by what is fastest on its machine; anything else computes in float32.
AUTO = "auto"
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, AUTO: torch.float32}


@MODELS.register_module()
class MultiTaskModel(BaseModel):  # type: ignore[misc]
    """A network with losses and weighting (Lu et al., CVPR 2020, Eqs. 6 and 15).

    Args:
        network: Config of the network.
        width: One number that scales it; parts take multiples of it.
        weighting: Config of how the tasks' losses become one; None where nothing is trained.
        precision: "float32", or "bfloat16" for autocast in the network (losses and decoding stay float32). Several times
            faster on processors and GPUs that have bf16 units. "auto" lets training measure. "float16" is for GPUs, with a
            gradient scaler in training; a CPU computes such a model in float32.
        channels_last: Memory layout of weights and maps that convolutions are often faster in; True, False or "auto".

    Raises:
        ConfigError: A width below 1, or another precision.
    """

    def __init__(
        self,
        network: Any,
        width: int = 16,
        weighting: Any = None,
        precision: str = "float32",
        channels_last: bool | str = False,
    ) -> None:
        super().__init__(data_preprocessor=BatchPreprocessor())
        if not isinstance(width, int) or width < 1:
            raise ConfigError(f"model.width must be a whole number from 1 on, not {width!r}.")
        if precision not in PRECISIONS:
            raise ConfigError(f"model.precision='{precision}' is not known.{did_you_mean(precision, PRECISIONS)}")
        if channels_last not in (True, False, AUTO):
            raise ConfigError(f"model.channels_last must be True, False or 'auto', not {channels_last!r}.")
        self.precision = PRECISIONS[precision]
        self.channels_last = channels_last is True
        self.network: Network = build(NETWORKS, network, "network", width=width)
        self.weighting: Weighting | None = None
        if weighting is not None:
            self.weighting = build(WEIGHTING, weighting, "weighting", tasks=tuple(self.network.tasks))
            if self._compares_features and not self.network.shares_features:
                raise ConfigError(
                    f"model.weighting ({type(self.weighting).__name__}) compares gradients at shared features, and "
                    f"{type(self.network).__name__} has none: set model.weighting.gramian_at='parameters'."
                )
        if self.channels_last:
            self.network.to(memory_format=torch.channels_last)
        #: Share of training that is done, 0..1.
        self.progress = 0.0
        #: Tasks left by strip(), or None for a whole model; written into checkpoints.
        self.keep: tuple[str, ...] | None = None
        #: The primary task's name in steps whose gradients are to be logged; None in others.
        self.gradient_log: str | None = None
        self._shared: tuple[Tensor, ...] = ()
        self._compiled: Callable[[Batch], tuple[dict[str, TaskOutput], tuple[Tensor, ...]]] | None = None

    def compile_network(self, **options: Any) -> None:
        """Compute losses through ``torch.compile`` from now on; weights, their names and predictions stay as they are.

        Args:
            options: Those of ``torch.compile``.

        Raises:
            ConfigError: One graph is asked for, and the weighting compares gradients in the middle of it.
        """
        if self._compares_features:
            if options.get("fullgraph"):
                raise ConfigError(
                    f"compile.fullgraph=True: model.weighting ({type(self.weighting).__name__}) compares gradients at features "
                    "inside the graph. Set compile.fullgraph=False, or model.weighting.gramian_at='parameters'."
                )
            self.network.separate_features = True
        # Gradients that are compared or logged are taken before the step's own backward pass, which needs the buffers again.
        functorch: Any = importlib.import_module("torch._functorch.config")
        if hasattr(functorch, "donated_buffer"):
            functorch.donated_buffer = False
        # The method, not the module: a compiled module would put a prefix before the names of all weights.
        self._compiled = torch.compile(self.network.outputs, **options)

    @property
    def _compares_features(self) -> bool:
        return getattr(self.weighting, "gramian_at", None) == "features"

    def set_progress(self, progress: float) -> None:
        """Tell every part that has a ``set_progress`` of its own which share of training is done, 0..1.

        Training says it before each step, from the step's number alone: there is nothing to store for a resume.
        """
        self.progress = progress
        for module in self.modules():
            if module is not self and hasattr(module, "set_progress"):
                module.set_progress(progress)

    @property
    def input_fields(self) -> tuple[Field, ...]:
        """What a data set must load for the network."""
        return tuple(INPUT_FIELDS[key] for key in self.network.needs)

    @property
    def training_input_fields(self) -> tuple[Field, ...]:
        """What a data set must load as inputs in training: also what targets and losses are made from."""
        return tuple(
            {key: INPUT_FIELDS[key] for key in (*self.network.needs, *self._batch_keys) if key in INPUT_FIELDS}.values()
        )

    @property
    def target_fields(self) -> tuple[Field, ...]:
        """What a data set must load as targets in training: of each task, and what other targets and losses are made from."""
        rows = {row.name: row for row in self.network.fields.values()}
        for key in self._batch_keys:
            if key in TARGET_FIELDS:
                rows.setdefault(TARGET_FIELDS[key].name, TARGET_FIELDS[key])
        return tuple(rows.values())

    def fields_to_measure(self, targets: tuple[Field, ...]) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
        """What a data set must load to compare with these targets: inputs, and targets, some of which are made from others."""
        names = {row.name for row in targets}
        keys = [key for name, task in self.network.tasks.items() if name in names for key in task.needs]
        inputs = {row.name: row for row in self.input_fields} | {key: INPUT_FIELDS[key] for key in keys if key in INPUT_FIELDS}
        rows = {row.name: row for row in targets}
        for key in keys:
            if key in TARGET_FIELDS:
                rows.setdefault(TARGET_FIELDS[key].name, TARGET_FIELDS[key])
        return tuple(inputs.values()), tuple(rows.values())

    @property
    def _batch_keys(self) -> tuple[str, ...]:
        return tuple(key for task in self.network.tasks.values() for key in task.batch_keys)

    def forward(self, inputs: Batch, data_samples: list[DepthSample] | None = None, mode: str = "tensor") -> Any:
        """Run the network.

        Args:
            inputs: ``{key: (B, C, H, W)}``; sparse depth in metres.
            data_samples: One a frame, with its targets.
            mode: ``tensor``: ``{field: (B, C, H, W)}``; ``loss``: ``{task: {term: scalar}}``; ``predict``: the samples with
                ``pred_*`` of their own size.
        """
        if mode == "tensor":
            return self._predict_fields(inputs)
        if data_samples is None:
            raise ValueError(f"mode '{mode}' needs data_samples")
        if mode == "loss":
            return self._losses(inputs, data_samples)
        if mode == "predict":
            return self._predict(inputs, data_samples)
        raise ValueError(f"mode must be 'tensor', 'loss' or 'predict', not '{mode}'")

    def _losses(self, inputs: Batch, data_samples: list[DepthSample]) -> dict[str, dict[str, Tensor]]:
        with self._computing(inputs) as prepared:
            outputs, self._shared = (self._compiled or self.network.outputs)(prepared)
        targets = {key: torch.stack([sample.get(key) for sample in data_samples]) for key in self._target_keys(data_samples)}
        batch = {**inputs, **targets}
        losses = {name: task_losses(task, outputs[name], batch) for name, task in self.network.tasks.items()}
        penalty = self.network.penalty()
        return {**losses, "penalty": penalty} if penalty else losses

    def computed_precision(self, device: str) -> torch.dtype:
        """The precision that the network computes in on a kind of device ("cpu", "cuda")."""
        return torch.float32 if device == "cpu" and self.precision == torch.float16 else self.precision

    @contextmanager
    def _computing(self, inputs: Batch) -> Iterator[Batch]:
        """Precision and memory layout of the network's computation."""
        if self.channels_last:
            inputs = {k: v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for k, v in inputs.items()}
        device = inputs["sparse_depth"].device.type
        precision = self.computed_precision(device)
        with torch.autocast(device, dtype=precision, enabled=precision != torch.float32):
            yield inputs

    def _predict_fields(self, inputs: Batch) -> dict[str, Tensor]:
        with self._computing(inputs) as prepared:
            return self.network(prepared)

    @staticmethod
    def _target_keys(data_samples: list[DepthSample]) -> list[str]:
        return [key for key, _ in data_samples[0].items() if key.startswith("gt_")]

    def _predict(self, inputs: Batch, data_samples: list[DepthSample]) -> list[DepthSample]:
        for name, values in self._predict_fields(inputs).items():
            for sample, value in zip(data_samples, values, strict=True):
                sample.set_field(unpad(value, sample), f"pred_{name}")
        self._make_targets(inputs, data_samples)
        for sample in data_samples:
            for key in self._target_keys([sample]):
                sample.set_field(unpad(sample.get(key), sample), key)
        return data_samples

    def _make_targets(self, inputs: Batch, data_samples: list[DepthSample]) -> None:
        """Targets that tasks make from others, as in training, for metrics and panels."""
        keys = set(self._target_keys(data_samples))
        for task in self.network.tasks.values():
            if task.needs and {task.field.target_key, *task.needs} <= keys | set(inputs):
                targets = {key: torch.stack([sample.get(key) for sample in data_samples]) for key in keys}
                made = task.make_target({**inputs, **targets})
                for sample, target in zip(data_samples, made, strict=True):
                    sample.set_field(target, task.field.target_key)

    def parse_losses(self, losses: Mapping[str, Mapping[str, Tensor]]) -> tuple[Tensor, dict[str, Tensor]]:
        """The total to step on, and what is logged: ``loss``, ``<task>/<term>``, ``<task>/weight``.

        mmengine's own adds up every key that contains the letters "loss"; here a term is trained because its task says so.
        Both the plain and the distributed path call this, so that weighting has one seam.
        """
        shared, self._shared = self._shared, ()
        if self.weighting is None:
            raise ConfigError("model.weighting is None: this config can be evaluated, not trained.")
        sums = {task: torch.stack(list(terms.values())).sum() for task, terms in losses.items() if task != "penalty" and terms}
        if not sums:
            raise ConfigError("no task has a loss: nothing can be trained.")
        total, weights = self.weighting(sums, lambda: self._gramian(sums, shared))
        for value in losses.get("penalty", {}).values():
            total = total + value
        logged = {f"{task}/{term}": value.detach() for task, terms in losses.items() for term, value in terms.items()}
        logged |= {f"{task}/weight": value.detach() for task, value in weights.items()}
        if self.gradient_log is not None:
            logged |= gradient_log(sums, tuple(self.network.parameters()), self.gradient_log)
        return total, OrderedDict(loss=total.detach(), **logged)

    def _gramian(self, sums: Mapping[str, Tensor], features: tuple[Tensor, ...]) -> Tensor:
        """Inner products of the tasks' gradients, where the weighting wants them."""
        if getattr(self.weighting, "gramian_at", "features") == "parameters":
            return inner_products(shared_gradients(sums, tuple(self.network.parameters())))
        return feature_gramian(sums, features)

    def strip(self, keep: Sequence[str] | None = None) -> MultiTaskModel:
        """Keep what these tasks need at test time, in place: their outputs stay bit-equal. Losses and weighting go.

        Args:
            keep: Names of tasks; None keeps every task that isn't for training only (``Task.train_only``).

        Raises:
            ConfigError: No task is kept, or one that isn't there.
        """
        if keep is None:
            keep = [name for name, task in self.network.tasks.items() if not task.train_only]
        keep = (keep,) if isinstance(keep, str) else tuple(keep)
        if not keep:
            raise ConfigError("strip would leave no task: name one of " + ", ".join(self.network.tasks) + ".")
        self.network.strip(keep)
        for task in self.network.tasks.values():
            task.losses.clear()
        self.weighting = None
        self._compiled = None
        self.keep = keep
        return self


def task_losses(task: Task, output: TaskOutput, batch: Batch) -> dict[str, Tensor]:
    """``{term: scalar}``; of a prediction at an earlier stage too, where there is one, as ``intermediate_<term>``."""
    terms = task.loss(output.raw, output.fields, batch)
    if output.intermediate is not None:
        before = task.loss(output.intermediate.raw, output.intermediate.fields, batch)
        terms = {**terms, **{f"intermediate_{term}": value for term, value in before.items()}}
    return terms


def build_model(cfg: Mapping[str, Any]) -> MultiTaskModel:
    """The model that a config's ``model`` dict describes.

    Raises:
        ConfigError: An unknown type or key anywhere inside; the text names its path in the config and the nearest right word.
    """
    arguments = dict(cfg)
    kind = arguments.pop("type", "MultiTaskModel")
    if kind != "MultiTaskModel":
        raise ConfigError(f"model.type='{kind}' is not a known model.{did_you_mean(kind, ['MultiTaskModel'])}")
    known = set(inspect.signature(MultiTaskModel).parameters)
    for key in arguments:
        if key not in known:
            raise ConfigError(f"model (MultiTaskModel): unexpected key '{key}'.{did_you_mean(key, known)}")
    if "network" not in arguments:
        raise ConfigError("model (MultiTaskModel): missing key 'network'.")
    with config_path("model"):
        return MultiTaskModel(**arguments)


def find_device(device: str | torch.device | None = None) -> torch.device:
    """A device that works here; a GPU where there is one, if none is named.

    Raises:
        ConfigError: There is no such device.
    """
    try:
        found = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ConfigError(f"device '{device}' can't be used here: {str(error).splitlines()[0]}") from error
    if found.type == "meta":
        raise ConfigError("device 'meta' computes nothing: name cpu or cuda.")
    return found
