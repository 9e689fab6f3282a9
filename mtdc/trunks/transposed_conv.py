"""Transposed-convolution trunk, the task's feature extractor G_d1 or G_r1 (Lu et al., CVPR 2020, section 3.2).

    f(1) = Phi(f_0),   f(n) = Phi(f(n - 1)),   1/16 -> 1/8 -> 1/4 -> 1/2
    with skips         f(n) = Phi(Cat( Phi(f(n - 1)), e_s ))        e_s: the encoder's map at the stage's stride

Shapes      features {16: (B, C, H/16, W/16)} -> stage n: (B, widths[n], H/strides[n], W/strides[n]).
Test time   all stages that the kept task reads; truncate() drops the rest.
Differs     the paper leaves channels open, and whether layer N_t enlarges: chosen 16, 8, 4, 4 times the width; N_t = 4 keeps
            the size (a 3x3 convolution at 1/2). With strides (8, 4, 2) the third transposed convolution is the last layer.
            The paper shows no skip connections; they are an option (U-Net: Ronneberger et al., MICCAI 2015).
Cost        at width 16 1.59 M weights, without skips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..contracts import Trunk
from ..layers.conv import conv_unit, upsample_unit
from ..registry import TRUNKS

#: Skip connections at the strides that an encoder has.
WHERE_PRESENT = "where_present"


def _halvings(start: int) -> tuple[int, ...]:
    """Strides from half of the start down to 2."""
    return tuple(start >> n for n in range(1, start.bit_length() - 1)) or (start,)


@TRUNKS.register_module()
class TransposedConvTrunk(Trunk):
    """A chain of conv units from the encoder's coarsest map.

    Args:
        channels, width: Given by the network.
        strides: Stride of each stage's output, each half of the one before or equal to it.
        multiples: Channels of each stage as multiples of the width.
        skips: The first stage at each stride also reads the encoder's map of that stride. True demands one at every stride;
            "where_present" takes those that the encoder has.

    Raises:
        ValueError: Strides that don't go down by 1 or 2, as many multiples as strides are not given, or skips are wanted and
            the encoder has no map at one of the strides.
    """

    def __init__(
        self,
        channels: Mapping[int, int],
        width: int,
        strides: Sequence[int] = (8, 4, 2, 2),
        multiples: Sequence[int] = (16, 8, 4, 4),
        skips: bool | str = False,
    ) -> None:
        super().__init__()
        if skips not in (True, False, WHERE_PRESENT):
            raise ValueError(f"skips must be True, False or '{WHERE_PRESENT}', not {skips!r}")
        if len(multiples) != len(strides):
            raise ValueError(f"multiples ({len(multiples)}) and strides ({len(strides)}) must have the same length")
        self.start = max(channels)
        self.strides = tuple(strides)
        self.widths = tuple(multiple * width for multiple in multiples)
        self.stages = nn.ModuleList()
        #: By the number of the stage: what joins its map with the encoder's.
        self.joins = nn.ModuleDict()
        stride, size = self.start, channels[self.start]
        for next_stride, next_size in zip(self.strides, self.widths, strict=True):
            if stride % next_stride or stride // next_stride > 2:
                raise ValueError(
                    f"strides {self.strides} must go down from the encoder's {self.start} by 1 or 2 at a time, as "
                    f"{_halvings(self.start)} with as many multiples"
                )
            self.stages.append(upsample_unit(size, next_size, stride // next_stride))
            if skips and next_stride < stride and not (skips == WHERE_PRESENT and next_stride not in channels):
                if next_stride not in channels:
                    has = ", ".join(map(str, channels))
                    raise ValueError(f"skips need an encoder with a map at stride {next_stride}; this one has strides {has}")
                self.joins[str(len(self.stages) - 1)] = conv_unit(next_size + channels[next_stride], next_size)
            stride, size = next_stride, next_size

    def stage(self, n: int, stream: Tensor | None, features: Mapping[int, Tensor]) -> Tensor:
        """Stage n; stage 0 reads the encoder's coarsest map."""
        stream = self.stages[n](features[self.start] if stream is None else stream)
        if str(n) in self.joins:
            stream = self.joins[str(n)](torch.cat((stream, features[self.strides[n]]), dim=1))
        return stream

    def truncate(self, last: int) -> None:
        """Drop the stages after ``last``."""
        del self.stages[last + 1 :]
        for n in [n for n in self.joins if int(n) > last]:
            del self.joins[n]
