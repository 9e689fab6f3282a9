"""A stripped model as an ONNX graph for any size, held against PyTorch by onnxruntime before its file is there.

Inputs and outputs have the names, shapes and units of the field table. The graph pads to the network's stride inside, and
computes in float32.
"""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import __version__
from ..contracts import Network
from ..data.io import atomic_path
from ..engine.examples import example_inputs
from ..errors import ConfigError, DataError
from ..layers.fill import LARGEST_EXPORTED
from ..model import MultiTaskModel
from ..registry import DATASETS, build
from ..structures import DEPTH, DEPTH_CONFIDENCE, IMAGE, INPUT_FIELDS, SPARSE_DEPTH
from .embedded import FRAMES
from .index import Setting

SUFFIX = ".onnx"
#: Versions of ONNX's operators: samples between pixels need 16, and torch's tracing exporter knows them up to 20.
OPSETS = range(16, 21)
OPSET = 18
#: Largest difference to PyTorch at any pixel, metres; of an expected error that is over 1 m, as a part of it.
TOLERANCE_M = 1e-3
#: The size that the graph is traced at: no loop of a part may end with it.
_EXAMPLE_SIZE = (40, 56)


@dataclass(frozen=True)
class Exported:
    """A graph that was written.

    Args:
        inputs, outputs: Names of its fields.
        sizes: (H, W) of the inputs that it was compared on.
        difference_m: Largest difference to PyTorch at any pixel, metres.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    difference_m: float


class _Graph(nn.Module):
    """A network with tensors, and no dicts, for arguments and results."""

    def __init__(self, network: Network, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.inputs, self.outputs = network, inputs, outputs

    def forward(self, *maps: Tensor) -> tuple[Tensor, ...]:
        """The fields, in their order."""
        fields = self.network(dict(zip(self.inputs, maps, strict=True)))
        return tuple(fields[name] for name in self.outputs)


def export_onnx(model: MultiTaskModel, path: str | Path, name: str, sha256: str | None, opset: int = OPSET) -> Exported:
    """Write the graph of a model that was stripped to depth, whole or not at all.

    Args:
        model: The model, on the processor.
        path: File to write; it must end in ``.onnx``.
        name, sha256: What the model is called, and the hash of its weights file, for the file's metadata.
        opset: Version of ONNX's operators.

    Raises:
        ConfigError: onnx or onnxruntime is not installed, the opset is not known or this onnxruntime can't compute it, or the
            model can't be exported.
        DataError: The path ends otherwise or can't be written, or the graph answers differently than PyTorch.
    """
    onnx, runtime = _package("onnx"), _package("onnxruntime")
    if opset not in OPSETS:
        raise ConfigError(f"opset {opset} can't be written: expected one from {OPSETS[0]} to {OPSETS[-1]}.")
    if Path(path).suffix != SUFFIX:
        raise DataError(f"can't write {path}: its name must end in {SUFFIX}.")
    network = model.network
    if next(network.parameters(), None) is None:
        raise ConfigError(f"{name} can't be exported: it has no weights, and is computed by numpy and not by torch.")
    uncertain = DEPTH_CONFIDENCE in network.tasks[DEPTH.name].extra_fields
    graph = _Graph(network, tuple(network.needs), (DEPTH.name, *([DEPTH_CONFIDENCE.name] if uncertain else [])))
    graph.eval()  # the whole of it: torch puts back the mode that it finds
    with atomic_path(path) as temporary:
        _trace(graph, temporary, name, opset)
        proto = onnx.load(temporary)
        proto.producer_name, proto.producer_version = "mtdc", __version__
        onnx.helper.set_model_props(proto, _metadata(network, graph, name, sha256))
        try:
            onnx.checker.check_model(proto)
            onnx.save(proto, temporary)
            session = _session(runtime, temporary)
        except OSError:
            raise
        except Exception as error:  # neither package's errors have a base of their own
            reason = " ".join(str(error).split())[:300]
            raise ConfigError(
                f"{name} can't be exported with opset {opset} and onnxruntime {runtime.__version__}: {reason}"
            ) from error
        sizes, difference = _compared(graph, session)
        if not difference <= TOLERANCE_M:
            raise DataError(
                f"{name} can't be exported: the graph differs from PyTorch by {difference:.3g} m, and {TOLERANCE_M:g} m is the "
                f"limit; {path} is not written."
            )
    return Exported(graph.inputs, graph.outputs, sizes, difference)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"the package {name} can't be imported ({reason}): pip install '.[onnx]'.") from error


def _session(runtime: Any, path: Path) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what fails is raised too
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _trace(graph: _Graph, path: Path, name: str, opset: int) -> None:
    axes = {key: {0: "batch", 2: "height", 3: "width"} for key in (*graph.inputs, *graph.outputs)}
    if "intrinsics" in axes:
        axes["intrinsics"] = {0: "batch"}
    inputs = example_inputs(graph.network, _EXAMPLE_SIZE)
    # A traced graph knows sizes as numbers that it computes. torch.export's would hold conditions on them, whose check takes
    # minutes, and which fail where a side is padded to a multiple.
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                graph, tuple(torch.cat((inputs[key],) * 2) for key in graph.inputs), str(path), dynamo=False,
                input_names=list(graph.inputs), output_names=list(graph.outputs), dynamic_axes=axes, opset_version=opset,
            )  # fmt: skip
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ConfigError(f"{name} can't be exported: torch has no form in ONNX for a part of it: {reason}") from error


def _metadata(network: Network, graph: _Graph, name: str, sha256: str | None) -> dict[str, str]:
    rows = {**INPUT_FIELDS, DEPTH.name: DEPTH, DEPTH_CONFIDENCE.name: DEPTH_CONFIDENCE}
    range_m = getattr(network.tasks[DEPTH.name], "range_m", None)
    return {
        "name": name,
        "sha256": sha256 or "",
        "units": json.dumps({key: rows[key].unit for key in (*graph.inputs, *graph.outputs)}),
        "not_measured": "0",
        "range_m": json.dumps(range_m),
        "largest_side": str(LARGEST_EXPORTED),
        "mtdc": __version__,
    }


def _compared(graph: _Graph, session: Any) -> tuple[tuple[tuple[int, int], ...], float]:
    """Sizes that were compared, and the largest difference at any pixel; infinite where the graph fails or is NaN."""
    sizes, largest = [], 0.0
    for inputs in _cases(graph.inputs):
        sizes.append(inputs[SPARSE_DEPTH.name].shape[-2:])
        with torch.inference_mode():
            expected = graph(*(torch.from_numpy(inputs[key]) for key in graph.inputs))
        try:
            found = session.run(list(graph.outputs), inputs)
        except Exception as error:  # onnxruntime's errors have no base of their own
            height, width = sizes[-1]
            reason = " ".join(str(error).split())[:300]
            raise DataError(f"the exported graph can't be computed at {height}x{width}: {reason}") from error
        for name, ours, theirs in zip(graph.outputs, found, expected, strict=True):
            known = theirs.numpy()
            # An expected error is a power of e: where it is of many metres, so is the rounding.
            scale = np.maximum(known, 1) if name == DEPTH_CONFIDENCE.name else 1.0
            difference = float((np.abs(ours - known) / scale).max()) if ours.shape == known.shape else np.inf
            largest = max(largest, difference if np.isfinite(difference) else np.inf)
    return tuple(sizes), largest


def _cases(needs: tuple[str, ...]) -> Iterator[dict[str, np.ndarray]]:
    """Frames that the package draws, in sizes and with gaps that the traced example hasn't."""
    street, room = ({key: _frames(setting)[key] for key in needs} for setting in FRAMES)
    yield street  # a batch of two
    yield room
    one = {key: value[:1] for key, value in street.items()}
    yield _cut(one, 191, 633)
    yield _cut(one, 33, 97)
    yield _cut(one, 1, 1)
    # Larger than any frame, and measured at its left edge alone: the fill goes on for a thousand pixels and more.
    wide = {key: np.tile(value, (1, 1, 2, 2)) if value.ndim == 4 else value for key, value in one.items()}
    yield _cut(wide, 375, 1242)
    sparse = wide[SPARSE_DEPTH.name].copy()
    sparse[..., 40:] = 0
    yield _cut({**wide, SPARSE_DEPTH.name: sparse}, 190, 1279)
    yield {**one, SPARSE_DEPTH.name: np.zeros_like(one[SPARSE_DEPTH.name])}


@cache
def _frames(setting: Setting) -> dict[str, np.ndarray]:
    """A batch of two with all inputs that a network may read; drawn once a process."""
    rows = tuple(INPUT_FIELDS.values())
    data = build(DATASETS, {**FRAMES[setting], "length": 2}, "dataset", inputs=rows, targets=(DEPTH,), seed=0)
    items = [data[index]["inputs"] for index in range(2)]
    return {key: np.stack([np.asarray(item[key], dtype=np.float32) for item in items]) for key in INPUT_FIELDS}


def _cut(inputs: dict[str, np.ndarray], height: int, width: int) -> dict[str, np.ndarray]:
    """The lower left corner, where a street is measured."""
    keys = (SPARSE_DEPTH.name, IMAGE.name)
    return {key: np.ascontiguousarray(value[..., -height:, :width]) if key in keys else value for key, value in inputs.items()}
