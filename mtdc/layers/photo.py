"""The photo as channels that a network reads, of about the size of its other inputs."""

from __future__ import annotations

from torch import Tensor

#: Middle gray and a usual contrast of photos: channels are about 0 and of about 1.
MIDDLE_GRAY, CONTRAST = 128.0, 64.0
#: Weights of red, green and blue in gray (ITU-R 601).
GRAY_WEIGHTS = (0.299, 0.587, 0.114)


def photo_size(gray: bool) -> int:
    """Number of the photo's channels."""
    return 1 if gray else 3


def photo_channels(image: Tensor, gray: bool) -> Tensor:
    """RGB ``(B, 3, H, W)`` in 0..255 to ``(B, 1 or 3, H, W)``, centred and scaled."""
    if gray:
        image = (image * image.new_tensor(GRAY_WEIGHTS).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    return (image - MIDDLE_GRAY) / CONTRAST
