"""Depth, the primary task: metres from a linear, inverse or logarithmic output (Lu et al., CVPR 2020, Eqs. 12 and 13).

    metric: depth = base + m raw          log: depth = base e^raw          inverse: 1/depth = softplus(z + raw) / m
    base: the representation's fill, or m, the data's mean depth;  z: so that raw = 0 gives the base

Shapes      stream (B, C, H/s, W/s) -> raw (B, 1 or 2, H, W) -> depth (B, 1, H, W) metres, with uncertainty depth_confidence
            (B, 1, H, W): the standard deviation that is expected of it, metres.
Test time   all of it; depth is clamped to the range in eval mode.
Differs     the paper's output is not described; scale and offset from the data's mean depth start the training near it, where
            a linear output in metres started from zero is far behind. The second channel is the logarithm of the error's scale
            (Kendall and Gal, NeurIPS 2017, have log variance): in units of m for the metric output, of the depth otherwise.
Cost        the decoder.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..contracts import Task
from ..errors import did_you_mean
from ..registry import TASKS
from ..structures import DEPTH, DEPTH_CONFIDENCE

OUTPUTS = ("metric", "inverse", "log")
#: Standard deviation over the scale that is predicted: sqrt 2 b for Laplace's law.
DEVIATIONS = {"laplace": math.sqrt(2), "gaussian": 1.0}
#: Greatest logarithm of a ratio: e^10 times the mean depth is beyond any depth, and its square still a number.
LIMIT = 10.0


@TASKS.register_module()
class DepthTask(Task):
    """Depth in metres, not clamped in training, clamped at test time.

    Args:
        in_channels, stride, width: Given by the network.
        losses: ``{term: loss config}``.
        output: What the head's output is linear in: "metric" depth, "inverse" depth or its "log"arithm; the latter two are
            positive by construction. With a fill it is a residual on it in that domain.
        uncertainty: None, "laplace" or "gaussian": a second channel is the logarithm of that law's scale, trained by
            ``LaplaceNLL`` or ``GaussianNLL``; the field ``depth_confidence`` is the standard deviation in metres.
        mean_depth_m: The data's mean depth in metres: scale of the output, and its offset where there is no fill.
        range_m: Least and greatest depth at test time in metres; None doesn't clamp, except at 0.
        upsampling: "transposed_conv" or "sub_pixel": how the head gets to full resolution.

    Raises:
        ValueError: An unknown output or uncertainty, a mean depth that is not positive, or a range that is not ascending.
    """

    field = DEPTH

    def __init__(
        self,
        in_channels: int,
        stride: int,
        width: int,
        losses: Mapping[str, Any] | None = None,
        mean_depth_m: float = 15.0,
        range_m: Sequence[float] | None = (0.9, 100.0),
        upsampling: str = "transposed_conv",
        output: str = "metric",
        uncertainty: str | None = None,
    ) -> None:
        if output not in OUTPUTS:
            raise ValueError(f"output='{output}' is not known.{did_you_mean(str(output), OUTPUTS)}")
        if uncertainty is not None and uncertainty not in DEVIATIONS:
            raise ValueError(f"uncertainty='{uncertainty}' is not known.{did_you_mean(str(uncertainty), DEVIATIONS)}")
        self.output, self.uncertainty = output, uncertainty
        self.extra_fields = () if uncertainty is None else (DEPTH_CONFIDENCE,)
        super().__init__(in_channels, stride, width, losses, upsampling, raw_channels=1 + len(self.extra_fields))
        if mean_depth_m <= 0:
            raise ValueError(f"mean_depth_m must be positive, not {mean_depth_m}")
        if range_m is not None and not 0 <= range_m[0] < range_m[1]:
            raise ValueError(f"range_m must be (least, greatest) in metres, not {tuple(range_m)}")
        self.mean_depth_m = mean_depth_m
        self.range_m = None if range_m is None else (float(range_m[0]), float(range_m[1]))

    def decode(self, raw: Tensor, base: Tensor | None) -> dict[str, Tensor]:
        """``{"depth": (B, 1, H, W)}`` in metres, and ``depth_confidence`` where an uncertainty is predicted."""
        depth = self._depth(raw[:, :1], base)
        if self.uncertainty is None:
            return {"depth": self.limit(depth)}
        scale = self.mean_depth_m if self.output == "metric" else depth
        deviation = DEVIATIONS[self.uncertainty] * scale * bounded(raw[:, 1:]).exp()
        return {"depth": self.limit(depth), DEPTH_CONFIDENCE.name: deviation}

    def _depth(self, raw: Tensor, base: Tensor | None) -> Tensor:
        mean = self.mean_depth_m
        if self.output == "metric":
            return (mean if base is None else base) + mean * raw
        # A fill is 0 where a frame has no point at all: no ratio starts from there.
        start = raw.new_full((), mean) if base is None else torch.where(base > 0, base, mean)
        if self.output == "log":
            return start * bounded(raw).exp()
        inverse = mean / start
        offset = inverse + torch.log(-torch.expm1(-inverse))  # where softplus is that inverse depth
        return mean / functional.softplus((offset + raw).clamp(min=-LIMIT))

    def limit(self, depth: Tensor) -> Tensor:
        """Depth inside the range in eval mode; untouched in training, where a clamp would stop the gradient."""
        if self.training:
            return depth
        low, high = self.range_m or (0.0, float("inf"))
        return depth.clamp(low, high)


def bounded(logarithm: Tensor) -> Tensor:
    """A logarithm whose exponential is neither 0 nor infinite: linear around 0, never beyond +-10, with a gradient throughout.

    A clamp would hold an output that is far out where it is.
    """
    return LIMIT * torch.tanh(logarithm / LIMIT)
