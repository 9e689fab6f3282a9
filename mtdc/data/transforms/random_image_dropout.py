"""Random loss of the photo, so that a network that reads it also learns to do without (ModDrop: Neverova et al., TPAMI 2016).

    p'(u, v) = 128 with probability q of the frame, else p(u, v)

Shapes      photo (H, W, 3) RGB, 0..255 -> the same; all other maps pass untouched, an image task's target too.
Test time   with probability 1 in the test data's transforms it measures what the photo is worth to a network.
Differs     a photo that is lost is middle gray, which networks here read as 0, and not a missing input.
Cost        none.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ...contracts import Transform
from ...errors import ConfigError
from ...layers.photo import MIDDLE_GRAY
from ...registry import TRANSFORMS
from ...structures import IMAGE, Frame


@TRANSFORMS.register_module()
class RandomImageDropout(Transform):
    """Make the photo gray all over.

    Args:
        probability: Of a frame to lose its photo, 0..1.

    Raises:
        ValueError: A probability outside 0..1.
        ConfigError: (when called) The photo is not among the inputs.
    """

    def __init__(self, probability: float = 0.2) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must lie in 0..1, not {probability}")
        self.probability = probability

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame with its photo, or without."""
        key = IMAGE.name
        if key not in frame.maps:
            raise ConfigError(f"RandomImageDropout needs the input '{key}', and only {', '.join(frame.maps)} are loaded.")
        if generator.random() >= self.probability:
            return frame
        return dataclasses.replace(frame, maps={**frame.maps, key: np.full_like(frame.maps[key], MIDDLE_GRAY)})
