"""The photo as an auxiliary task: reconstruct the gray image from sparse depth (Lu et al., CVPR 2020, Eqs. 12 and 14).

    image = 128 + 64 * raw          in 0..255, the scale that the paper's w_img = 1e-4 belongs to

Shapes      stream (B, C, H/s, W/s) -> raw (B, C, H, W) -> image (B, C, H, W), C = 1 (gray) or 3 (RGB).
Test time   dropped by strip(), with what only it reads.
Differs     offset and scale are chosen, so that the output starts at middle gray; the paper doesn't describe them.
Cost        the decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..contracts import Task
from ..layers.photo import CONTRAST, MIDDLE_GRAY
from ..registry import TASKS
from ..structures import GRAY_IMAGE, RGB_IMAGE


@TASKS.register_module()
class ImageTask(Task):
    """Gray (the paper) or RGB image in 0..255.

    Args:
        in_channels, stride, width: Given by the network.
        losses: ``{term: loss config}``.
        channels: 1 for gray, 3 for RGB.
        upsampling: "transposed_conv" or "sub_pixel": how the head gets to full resolution.

    Raises:
        ValueError: Another number of channels.
    """

    train_only = True

    def __init__(
        self,
        in_channels: int,
        stride: int,
        width: int,
        losses: Mapping[str, Any] | None = None,
        channels: int = 1,
        upsampling: str = "transposed_conv",
    ) -> None:
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 (gray) or 3 (RGB), not {channels}")
        self.field = GRAY_IMAGE if channels == 1 else RGB_IMAGE
        super().__init__(in_channels, stride, width, losses, upsampling)

    def decode(self, raw: Tensor, base: Tensor | None) -> dict[str, Tensor]:
        """``{"image": (B, C, H, W)}`` in 0..255."""
        image = MIDDLE_GRAY + CONTRAST * raw
        return {"image": image if self.training else image.clamp(0, 255)}
