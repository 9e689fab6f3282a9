"""The law on one page: the base class of every part. Sizes are given by the model, never probed; no part takes ``**kwargs``.

What each promises beyond its signature is held by the contract test of its registry (``tests/contract``), which every
registered part passes by being registered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, get_args

import numpy as np
from torch import Tensor, nn

from .errors import ConfigError
from .layers.decoder import Decoder
from .layers.schedule import build_schedule
from .registry import (
    CLASSICAL,
    ENCODERS,
    INPUTS,
    LOSSES,
    NETWORKS,
    REFINEMENT,
    SHARING,
    TASKS,
    TRANSFORMS,
    TRUNKS,
    WEIGHTING,
    build,
    config_path,
)
from .structures import DEPTH_CONFIDENCE, INPUT_FIELDS, Field, Frame, Kind

#: Inputs and targets of a batch by key: ``sparse_depth (B, 1, H, W)``, ``gt_depth (B, 1, H, W)``, ``intrinsics (B, 3, 3)``, ...
Batch = Mapping[str, Tensor]


class Prepared(NamedTuple):
    """What the network reads: ``x (B, C, H, W)``, its ``layout {name: channels}``, ``base_depth (B, 1, H, W)`` or None."""

    x: Tensor
    layout: dict[str, int]
    base_depth: Tensor | None


class TaskOutput(NamedTuple):
    """One task's raw head output and, decoded from it, ``{field name: tensor}`` in physical units.

    ``intermediate`` is a prediction from an earlier stage, in training and where the sharing asks for one: the task's own
    losses are taken of it as well.
    """

    raw: Tensor
    fields: dict[str, Tensor]
    intermediate: TaskOutput | None = None


@INPUTS.contract
class InputRepresentation(nn.Module, ABC):
    """Sparse depth (and what else ``needs`` names) as the tensor that the encoder reads.

    Promises: finite with no measured point; reads no ground truth; torch operations only, so that it is exported.
    """

    #: Channels of x by name, in their order.
    layout: dict[str, int]
    #: Keys of the inputs it reads.
    needs: tuple[str, ...] = ("sparse_depth",)
    #: What x holds, with units.
    unit: ClassVar[str]

    @property
    def channels(self) -> int:
        """Channels of x."""
        return sum(self.layout.values())

    @abstractmethod
    def forward(self, inputs: Batch) -> Prepared:
        """``{key: (B, C, H, W)}`` to x and, where depth is predicted as a residual, the depth it is added to (metres)."""


@ENCODERS.contract
class Encoder(nn.Module, ABC):
    """``x (B, C, H, W) -> {stride: (B, channels[stride], ceil(H/stride), ceil(W/stride))}``, any size.

    The constructor is given ``in_channels``, ``layout`` and ``width`` where it names them.
    """

    #: Channels of each output map, keyed by stride.
    channels: dict[int, int]

    @abstractmethod
    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Feature maps keyed by stride."""


@TRUNKS.contract
class Trunk(nn.Module, ABC):
    """Encoder features to one stream, coarse to fine, stage by stage; no state between calls.

    The constructor is given ``channels`` (the encoder's, by stride) and ``width``. Stages count from 0, the paper's n from 1.
    """

    #: Stride and channels of each stage's output.
    strides: tuple[int, ...]
    widths: tuple[int, ...]

    @abstractmethod
    def stage(self, n: int, stream: Tensor | None, features: Mapping[int, Tensor]) -> Tensor:
        """Stage n: the stream of stage n - 1 (None for stage 0) to ``(B, widths[n], H / strides[n], W / strides[n])``."""

    @abstractmethod
    def truncate(self, last: int) -> None:
        """Drop the stages after ``last``: nothing reads them any more."""


@SHARING.contract
class Sharing(nn.Module, ABC):
    """What task streams exchange at each stage, and what each head sees in the end.

    The constructor is given ``tasks`` (names), ``strides`` and ``widths`` (of the trunks' stages).

    Promises: changing a stream that ``reads(task)`` leaves out leaves the task's output bit-equal; any number of
    tasks from 1 on.
    """

    #: Stage after which every task predicts a first time in training, from its own trunk's stream as the stage leaves it
    #: (PAD-Net; ``trunks()`` are then the tasks); None: nowhere.
    intermediate: int | None = None

    @abstractmethod
    def trunks(self) -> tuple[str, ...]:
        """Names of the trunks it wants: the tasks' names, or one for all."""

    @abstractmethod
    def forward(self, n: int, streams: dict[str, Tensor], shared: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
        """After stage n: the streams as the next stage reads them, and what goes on beside them (None where nothing does).

        ``shared`` is what the call after stage n - 1 returned, None before: a stream of the sharing's own, or the tasks' maps
        side by side where they aren't the trunks' to read.
        """

    @abstractmethod
    def join(self, streams: dict[str, Tensor], shared: Tensor | None) -> dict[str, Tensor]:
        """What each task's head sees: ``{task: (B, head_channels(task), H/s, W/s)}``."""

    @abstractmethod
    def head_channels(self, task: str) -> int:
        """Channels of the task's joined stream."""

    @abstractmethod
    def reads(self, task: str) -> dict[str, int]:
        """The trunks that the task's output depends on, each with the last stage that is read."""

    @abstractmethod
    def strip(self, tasks: tuple[str, ...]) -> None:
        """Serve these tasks alone from now on, and drop what only the others read."""

    def penalty(self) -> dict[str, Tensor]:
        """Terms added to the training loss, ``{term: scalar}``."""
        return {}


@LOSSES.contract
class Loss(nn.Module, ABC):
    """One term: ``(pred, target, valid) -> scalar``: mean over the batch's valid pixels, 0 with a graph where there is none.

    Args:
        weight: Factor of the term inside its task.
        schedule: How the weight changes with training, ``dict(shape='linear', start=0.0, end=1.0, begin=0.0, until=0.5)``:
            a further factor (see :class:`~mtdc.layers.schedule.Schedule`). None: it stays.
    """

    #: Unit of the value, with the unit of the prediction as u ("u^2").
    unit: str
    #: Kinds of fields that it can compare; a task of another kind refuses it.
    kinds: tuple[Kind, ...] = get_args(Kind)
    #: False: it reads neither target nor valid, and counts where there is no label too.
    needs_target: ClassVar[bool] = True
    #: Further maps that it is handed, in this order: keys of the batch (``gt_image``, ``sparse_depth``), which the data set
    #: then loads, or fields of the task's own output (``depth_confidence``).
    reads: tuple[str, ...] = ()

    def __init__(self, weight: float = 1.0, schedule: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.weight = weight
        self.schedule = build_schedule(schedule)
        self.progress = 0.0

    def set_progress(self, progress: float) -> None:
        """Share of training that is done, 0..1; said before every step."""
        self.progress = progress

    @property
    def factor(self) -> float:
        """What the task multiplies the value by now: the weight, and its schedule."""
        return self.weight if self.schedule is None else self.weight * self.schedule(self.progress)

    @abstractmethod
    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """Shapes: ``(B, C, H, W)`` twice and a bool ``(B, 1, H, W)``; for labels target and valid are ``(B, H, W)``.

        ``maps`` are those that ``reads`` names. The factor is applied by the task.
        """


@TASKS.contract
class Task(nn.Module):
    """Head, decoding and losses of one output.

    Args:
        in_channels: Channels of its joined stream (given by the network).
        stride: Stride of that stream (given by the network).
        width: The network's width (given by the network).
        losses: ``{term: loss config}``; a term that is None is left out.
        upsampling: How the head gets to full resolution (see :class:`~mtdc.layers.decoder.Decoder`).
        raw_channels: Channels of the head's output; None: the field's.
    """

    #: Row of the field table that it predicts; ``gt_<name>`` is its target.
    field: Field
    #: Rows of what ``decode`` gives beside it.
    extra_fields: tuple[Field, ...] = ()
    #: Keys of the batch that its target is made from, where the data set has none of its own: inputs, or other tasks' targets.
    needs: tuple[str, ...] = ()
    #: Dropped by ``strip()`` unless it is named there.
    train_only: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int,
        stride: int,
        width: int,
        losses: Mapping[str, Any] | None = None,
        upsampling: str = "transposed_conv",
        raw_channels: int | None = None,
    ) -> None:
        super().__init__()
        self.head = Decoder(in_channels, stride, width, raw_channels or self.field.channels, upsampling)
        self.losses: Any = nn.ModuleDict()
        with config_path("losses") as where:
            for term, cfg in (losses or {}).items():
                if cfg is not None:
                    loss: Loss = build(LOSSES, cfg, term)
                    self._check_loss(loss, f"{where}.{term}")
                    self.losses[term] = loss

    def _check_loss(self, loss: Loss, where: str) -> None:
        name = type(loss).__name__
        if self.field.kind not in loss.kinds:
            raise ConfigError(
                f"{where} ({name}) compares {', '.join(loss.kinds)}, and '{self.field.name}' is of the kind {self.field.kind}."
            )
        own = {row.name for row in (self.field, *self.extra_fields)}
        for key in loss.reads:
            if key not in own and key not in INPUT_FIELDS and not key.startswith("gt_"):
                advice = " Set its uncertainty='laplace' or 'gaussian'." if key == DEPTH_CONFIDENCE.name else ""
                raise ConfigError(
                    f"{where} ({name}) reads '{key}': it is neither an input nor a target (gt_...), and the task gives "
                    f"{', '.join(sorted(own))} alone (Task.field, extra_fields).{advice}"
                )

    def forward(self, stream: Tensor) -> tuple[Tensor, Tensor]:
        """Raw output ``(B, C, H, W)`` and the head's last hidden map, which a refinement may read."""
        raw, hidden = self.head(stream)
        return raw, hidden

    def decode(self, raw: Tensor, base: Tensor | None) -> dict[str, Tensor]:
        """Raw float32 output to ``{field name: tensor}`` in physical units; in the field's range in eval mode.

        ``base`` is the representation's base depth ``(B, 1, H, W)`` or None.
        """
        return {self.field.name: raw}

    def make_target(self, batch: Batch) -> Tensor:
        """The target of a batch, ``(B, C, H, W)``: the data set's own, unless a task computes it from other fields."""
        return batch[self.field.target_key]

    def loss(self, raw: Tensor, fields: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """``{term: scalar}``; an all-unknown target gives 0 with a finite gradient."""
        target = self.make_target(batch)
        valid = self.field.valid(target)
        maps = {**batch, **fields}
        terms = {}
        for term, loss in self.losses.items():
            more = (maps[key] for key in loss.reads)
            terms[term] = loss.factor * loss(fields[self.field.name], target, valid, *more)
        return terms

    @property
    def batch_keys(self) -> tuple[str, ...]:
        """Keys of the batch that its target and its losses are made from, beside its own target."""
        read = (key for loss in self.losses.values() for key in loss.reads)
        return tuple(dict.fromkeys((*self.needs, *read)))


@WEIGHTING.contract
class Weighting(nn.Module, ABC):
    """Task losses to one: ``total = sum_i w_i L_i``. The constructor is given ``tasks``. State is in the state_dict.

    Promises: the order of tasks does not matter.
    """

    @abstractmethod
    def forward(self, losses: dict[str, Tensor], gramian: Callable[[], Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """``{task: scalar}`` to the total and the weights.

        ``gramian()`` is ``(T, T)``: inner products of the tasks' gradients with respect to the encoder's features, in the order
        of ``losses``. Rules that don't call it pay nothing.
        """


@REFINEMENT.contract
class Refinement(nn.Module, ABC):
    """Depth after the head. The constructor is given ``channels {stride: C}`` of the guidance.

    Args:
        steps: Propagation steps; 0 is the identity.
    """

    @abstractmethod
    def forward(self, depth: Tensor, guidance: Mapping[int, Tensor], inputs: Batch) -> Tensor:
        """``(B, 1, H, W)`` metres to the same; guidance: depth's joined stream and, under 1, its head's last hidden map."""


@NETWORKS.contract
class Network(nn.Module, ABC):
    """``{input key: (B, C, H, W)} -> {field name: tensor}``, any size. The constructor is given ``width``.

    ``tasks`` holds its tasks by name; a network need not be made of encoder, trunks and heads.
    """

    tasks: Mapping[str, Task]
    #: Keys of the inputs it reads.
    needs: tuple[str, ...] = ("sparse_depth",)
    #: False: ``outputs`` names no features that tasks share, so that gradients can be compared at parameters alone.
    shares_features: ClassVar[bool] = True
    #: True: when it is compiled, a graph ends at these features, so that gradients at them can be taken.
    separate_features: bool = False

    @abstractmethod
    def outputs(self, inputs: Batch) -> tuple[dict[str, TaskOutput], tuple[Tensor, ...]]:
        """Each task's output, and the features they share (for gradient-based weighting; empty where there are none)."""

    def forward(self, inputs: Batch) -> dict[str, Tensor]:
        """All tasks' fields in physical units."""
        outputs, _ = self.outputs(inputs)
        return {name: value for output in outputs.values() for name, value in output.fields.items()}

    @property
    def fields(self) -> dict[str, Field]:
        """Rows of the field table that it predicts, by task."""
        return {name: task.field for name, task in self.tasks.items()}

    def penalty(self) -> dict[str, Tensor]:
        """Terms that parts add to the training loss."""
        return {}

    @abstractmethod
    def strip(self, keep: tuple[str, ...]) -> None:
        """Keep what these tasks need at test time, in place; their outputs stay bit-equal."""


@CLASSICAL.contract
class Completion(ABC):
    """Completion without weights: sparse depth to dense, numpy, metres.

    Promises: every pixel is answered (an empty map is answered with zeros), among the depths that were measured;
    ``keeps_measured`` says whether measured pixels come back as they were.
    """

    keeps_measured: ClassVar[bool]
    #: Keys of the inputs it reads: ``("sparse_depth", "image")`` where it looks at the photo, which is then loaded.
    needs: tuple[str, ...] = ("sparse_depth",)
    #: True: it distinguishes depths by metres, so that twice the depth may not give twice the answer.
    knows_metres: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, sparse_depth: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = not measured -> ``(H, W)`` float32 metres.

        ``image`` is ``(H, W, 3)`` RGB, 0..255; it is given where ``needs`` names it, and only there.

        Raises:
            DataError: It needs the image, and it is missing or of another size.
        """


@TRANSFORMS.contract
class Transform(ABC):
    """Moves all maps of a frame and its intrinsics together, or refuses."""

    #: ``("intrinsics",)`` where it can't work without K, which the data set then loads.
    needs: tuple[str, ...] = ()
    #: Keys of targets that it makes, ``("gt_depth",)``: frames without a file of one have it all the same.
    gives: tuple[str, ...] = ()

    @abstractmethod
    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The changed frame. All randomness comes from the generator, seeded by (seed, frame, epoch); at
        evaluation by the frame's name."""
