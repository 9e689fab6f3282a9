"""The photo's gradients as an auxiliary task: its structure without its intensity (Lu et al., CVPR 2020, footnote on PSNR).

    target(u, v) = ( r(u + 1, v) - r(u, v),  r(u, v + 1) - r(u, v) )          r: gray photo;     prediction = 16 * raw

Shapes      stream (B, C, H/s, W/s) -> raw (B, 2, H, W) -> (B, 2, H, W) gray values a pixel.
Test time   dropped by strip(), with what only it reads.
Differs     the paper reconstructs the photo and says that structure is what matters: this asks for it alone.
Cost        the decoder.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..contracts import Batch, Task
from ..registry import TASKS
from ..structures import GRAY_IMAGE, IMAGE_GRADIENTS

#: A usual difference of neighbours in a photo, gray values.
SCALE = 16.0


@TASKS.register_module()
class ImageGradientsTask(Task):
    """Differences of the gray photo to the right and the lower neighbour; unknown in the last column and row."""

    field = IMAGE_GRADIENTS
    needs = (GRAY_IMAGE.target_key,)
    train_only = True

    def decode(self, raw: Tensor, base: Tensor | None) -> dict[str, Tensor]:
        """``{"image_gradients": (B, 2, H, W)}`` in gray values a pixel."""
        return {"image_gradients": SCALE * raw}

    def make_target(self, batch: Batch) -> Tensor:
        """Of the photo, ``(B, 1 or 3, H, W)`` in the batch; unknown where one of the pixels is."""
        if self.needs[0] not in batch:
            return super().make_target(batch)
        photo = batch[self.needs[0]]
        known = (photo != GRAY_IMAGE.unknown).all(dim=1, keepdim=True)
        gray = photo.mean(dim=1, keepdim=True)
        target = torch.full_like(gray.expand(-1, 2, -1, -1), self.field.unknown).clone()
        # Both differences or none: one mask serves both channels.
        both = known[..., :-1, :-1] & known[..., :-1, 1:] & known[..., 1:, :-1]
        here = gray[..., :-1, :-1]
        steps = torch.cat((gray[..., :-1, 1:] - here, gray[..., 1:, :-1] - here), dim=1)
        target[..., :-1, :-1] = torch.where(both, steps, self.field.unknown)
        return target
