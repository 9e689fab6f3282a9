"""The composition: representation, encoder, trunks, sharing, heads, refinement (Lu et al., CVPR 2020, Eq. 5 and Fig. 3).

    streams[t], shared = f_0 ... stage by stage, coarse to fine          (x~, r~) = G(x)
    and, where the sharing asks for first predictions, each task's from its stream after one stage, in training

Shapes      {input: (B, C, H, W)} -> {field: (B, C, H, W)}, any size: padded to the network's stride inside, and cut back.
Test time   what Sharing.reads(depth) names; strip() drops the rest.
Differs     see the parts; skip connections are an option of the trunk.
Cost        the parts'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..contracts import Batch, Network, Refinement, Sharing, Task, TaskOutput, Trunk
from ..errors import ConfigError, did_you_mean
from ..layers.decoder import Decoder
from ..registry import ENCODERS, INPUTS, NETWORKS, REFINEMENT, SHARING, TASKS, TRUNKS, build, config_path


@NETWORKS.register_module()
class MultiTaskNetwork(Network):
    """Encoder, trunks, sharing and heads, each from its config.

    Args:
        width: One number that scales the whole network (given by the model).
        representation, encoder, trunk, sharing: Configs of the parts; every trunk is built from the one trunk config.
        tasks: ``{name: task config}``; a task that is None is left out. A task's name is its field's name.
        refinement: Config of what follows the depth head, or None.

    Raises:
        ConfigError: No task is left, or a task's name is not its field's; or the sharing asks for first predictions that the
            trunks or tasks can't give.
    """

    def __init__(
        self,
        width: int,
        representation: Any,
        encoder: Any,
        trunk: Any,
        sharing: Any,
        tasks: Mapping[str, Any],
        refinement: Any = None,
    ) -> None:
        super().__init__()
        names = tuple(name for name, cfg in tasks.items() if cfg is not None)
        if not names:
            raise ConfigError("the network has no task: every entry of tasks is None.")
        self.representation = build(INPUTS, representation, "representation")
        self.needs = self.representation.needs
        self.encoder = build(
            ENCODERS, encoder, "encoder",
            in_channels=self.representation.channels, layout=self.representation.layout, width=width,
        )  # fmt: skip
        channels = self.encoder.channels
        self.stride = max(channels)
        first: Trunk = build(TRUNKS, trunk, "trunk", channels=channels, width=width)
        self.stages = len(first.strides)
        self.stream_stride = first.strides[-1]
        self.sharing: Sharing = build(SHARING, sharing, "sharing", tasks=names, strides=first.strides, widths=first.widths)
        #: The first trunk serves the first task; the others are built from the same config.
        self.trunks: Any = nn.ModuleDict()
        for name in self.sharing.trunks():
            self.trunks[name] = first if not self.trunks else build(TRUNKS, trunk, "trunk", channels=channels, width=width)
        self.last_stage = dict.fromkeys(self.trunks, self.stages - 1)
        self.tasks: Any = self._build_tasks(tasks, names, first.strides[-1], width)
        #: Heads of the first predictions, where the sharing asks for them; for training alone.
        self.intermediate: Any = nn.ModuleDict()
        if self.sharing.intermediate is not None:
            n = self.sharing.intermediate
            self.intermediate = self._build_intermediate(tasks, names, first.strides[n], first.widths[n], width)
        self.refinement: Refinement | None = None
        if refinement is not None:
            if "depth" not in self.tasks:
                raise ConfigError("refinement needs the task 'depth', which the network hasn't.")
            depth_head = cast(Decoder, self.tasks["depth"].head)
            guidance = {self.stream_stride: self.sharing.head_channels("depth"), 1: depth_head.hidden_channels}
            self.refinement = build(REFINEMENT, refinement, "refinement", channels=guidance)

    def _build_tasks(self, tasks: Mapping[str, Any], names: tuple[str, ...], stride: int, width: int) -> nn.ModuleDict:
        built = nn.ModuleDict()
        with config_path("tasks") as where:
            for name in names:
                task: Task = build(
                    TASKS, tasks[name], name, in_channels=self.sharing.head_channels(name), stride=stride, width=width
                )
                if task.field.name != name:
                    raise ConfigError(f"{where}.{name}: the task predicts '{task.field.name}' and must have that name.")
                built[name] = task
        return built

    def _build_intermediate(
        self, tasks: Mapping[str, Any], names: tuple[str, ...], stride: int, channels: int, width: int
    ) -> nn.ModuleDict:
        """The tasks' own heads once more, at an earlier stage; without losses, which are the task's."""
        if set(self.sharing.trunks()) != set(names):
            raise ConfigError(f"{type(self.sharing).__name__} asks for first predictions, and has no trunk for each task.")
        built = nn.ModuleDict()
        with config_path("tasks") as where:
            for name in names:
                if isinstance(tasks[name], Task):
                    raise ConfigError(f"{where}.{name}: first predictions need the task's config, to build its head twice.")
                cfg = {key: value for key, value in tasks[name].items() if key != "losses"}
                built[name] = build(TASKS, cfg, name, in_channels=channels, stride=stride, width=width)
        return built

    def outputs(self, inputs: Batch) -> tuple[dict[str, TaskOutput], tuple[Tensor, ...]]:
        """Every task at the size of the input, and the encoder's features."""
        padded = pad_to_stride(inputs, self.stride)
        height, width = inputs["sparse_depth"].shape[-2:]
        x, _, base = self.representation(padded)
        features = self.encoder(x)  # {stride: (B, C, H/stride, W/stride)}
        if self.separate_features and torch.compiler.is_compiling():
            torch._dynamo.graph_break()
        streams: dict[str, Tensor] = {}
        shared: Tensor | None = None
        first: dict[str, TaskOutput] = {}
        for n in range(self.stages):
            for name, trunk in self.trunks.items():
                if n <= self.last_stage[name]:
                    streams[name] = trunk.stage(n, streams.get(name), features)
            if n == self.sharing.intermediate and self.training:
                first = {name: _decoded(task, task(streams[name])[0], base) for name, task in self.intermediate.items()}
            streams, shared = self.sharing(n, streams, shared)
        joined = self.sharing.join(streams, shared)
        outputs = {}
        for name, task in self.tasks.items():
            raw, hidden = task(joined[name])
            raw, fields, _ = _decoded(task, raw, base)
            if name == "depth" and self.refinement is not None:
                guidance = {self.stream_stride: joined[name], 1: hidden}
                fields["depth"] = task.limit(self.refinement(fields["depth"], guidance, padded))
            before = _cut(first[name], height, width) if name in first else None
            outputs[name] = _cut(TaskOutput(raw, fields), height, width)._replace(intermediate=before)
        return outputs, tuple(features.values())

    def penalty(self) -> dict[str, Tensor]:
        """The sharing's terms."""
        return self.sharing.penalty()

    def strip(self, keep: tuple[str, ...]) -> None:
        """Drop the trunks, stages, heads and sharing parameters that no kept task reads.

        Raises:
            ConfigError: A task to keep is not there.
        """
        for name in keep:
            if name not in self.tasks:
                raise ConfigError(
                    f"can't keep task '{name}': the network has none of that name.{did_you_mean(name, self.tasks)}"
                )
        read: dict[str, int] = {}
        for name in keep:
            for trunk, last in self.sharing.reads(name).items():
                read[trunk] = max(last, read.get(trunk, -1))
        for name in list(self.trunks):
            if name not in read:
                del self.trunks[name], self.last_stage[name]
            else:
                self.trunks[name].truncate(read[name])
                self.last_stage[name] = read[name]
        self.sharing.strip(keep)
        self.intermediate.clear()
        for name in [name for name in self.tasks if name not in keep]:
            del self.tasks[name]
        if "depth" not in keep:
            self.refinement = None


def _decoded(task: Task, raw: Tensor, base: Tensor | None) -> TaskOutput:
    raw = raw.float()  # units are decoded in full precision, also under autocast
    return TaskOutput(raw, task.decode(raw, base))


def _cut(output: TaskOutput, height: int, width: int) -> TaskOutput:
    """Without the padding at the right and the bottom."""
    fields = {key: value[..., :height, :width] for key, value in output.fields.items()}
    return TaskOutput(output.raw[..., :height, :width], fields)


def pad_to_stride(inputs: Batch, stride: int) -> Batch:
    """Maps padded at right and bottom to a multiple of the stride: depth with "not measured", the photo by its border."""
    height, width = inputs["sparse_depth"].shape[-2:]
    bottom, right = -height % stride, -width % stride
    # An exported graph pads always, by 0 where there is nothing to pad: it serves other sizes than its example's.
    if not torch.onnx.is_in_onnx_export() and not (bottom or right):
        return inputs
    padded = dict(inputs)
    for key, value in inputs.items():
        if value.ndim == 4:  # intrinsics (B, 3, 3) are no map
            padded[key] = functional.pad(value, (0, right, 0, bottom), mode="replicate" if key == "image" else "constant")
    return padded
