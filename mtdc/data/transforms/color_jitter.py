"""Random colours of the photo (Ma and Karaman, ICRA 2018: brightness, contrast and saturation, each by 0.6 to 1.4).

    brightness  b p                  contrast  mean(gray(p)) + c (p - mean(gray(p)))        b, c, s ~ U(1 - x, 1 + x)
    saturation  gray(p) + s (p - gray(p))        hue  H + h in HSV        gray by ITU-R 601; after each, p is kept in 0..255

Shapes      photo (H, W, 3) RGB, 0..255 -> the same; all other maps pass untouched, an image task's target too.
Test time   leave it out of the test data's transforms.
Differs     Ma and Karaman have neither blur, noise nor gray photos, which make up for what a drawn photo has too little of.
Cost        a few passes over the photo; what is 0 costs nothing.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from ...contracts import Transform
from ...errors import ConfigError
from ...registry import TRANSFORMS
from ...structures import IMAGE, Frame


@TRANSFORMS.register_module()
class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue of the photo, blur it, and add noise.

    Args:
        brightness, contrast, saturation: Each is multiplied by a factor of 1 - x to 1 + x.
        hue: Greatest turn of the hue either way, in turns, up to 0.5.
        grayscale: Part of the frames whose photo loses its colours, 0..1.
        blur: Greatest standard deviation of a Gaussian blur, pixels.
        noise: Greatest standard deviation of noise, gray values.

    Raises:
        ValueError: An amount that is negative or above its bound.
        ConfigError: (when called) The photo is not among the inputs.
    """

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.0,
        grayscale: float = 0.0,
        blur: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        bounds = {"brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5, "grayscale": 1, "blur": 100, "noise": 255}
        given = (brightness, contrast, saturation, hue, grayscale, blur, noise)
        for (name, most), value in zip(bounds.items(), given, strict=True):
            if not 0 <= value <= most:
                raise ValueError(f"{name} must be 0 to {most}, not {value}")
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue
        self.grayscale, self.blur, self.noise = grayscale, blur, noise

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame with another photo of the same scene."""
        if IMAGE.name not in frame.maps:
            raise ConfigError(f"ColorJitter needs the input '{IMAGE.name}', and only {', '.join(frame.maps)} are loaded.")
        old = frame.maps[IMAGE.name]
        photo = old.astype(np.float32)
        # Numbers are drawn even where they are not used: the other amounts' then stay the same when one is switched off.
        bright, contrast, colour, turn = generator.uniform(-1, 1, size=4).tolist()
        gray, sigma, spread = generator.uniform(size=3).tolist()
        photo = np.clip(photo * (1 + self.brightness * bright), 0, 255)
        mean = float(_gray(photo).mean())
        photo = np.clip(mean + (1 + self.contrast * contrast) * (photo - mean), 0, 255)
        tone = _gray(photo)
        saturation = 0.0 if gray < self.grayscale else 1 + self.saturation * colour
        photo = np.clip(tone + saturation * (photo - tone), 0, 255)
        if self.hue:
            hsv = cv2.cvtColor(photo / 255, cv2.COLOR_RGB2HSV)
            hsv[..., 0] = (hsv[..., 0] + 360 * self.hue * turn) % 360
            photo = 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        if self.blur:
            photo = cv2.GaussianBlur(photo, (0, 0), max(self.blur * sigma, 1e-3))
        if self.noise:
            photo = photo + generator.normal(0, self.noise * spread, photo.shape)
        photo = np.clip(photo if old.dtype.kind == "f" else np.rint(photo), 0, 255)
        return dataclasses.replace(frame, maps={**frame.maps, IMAGE.name: photo.astype(old.dtype)})


def _gray(photo: np.ndarray) -> np.ndarray:
    """Gray values (H, W, 1) of an RGB photo."""
    return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None]
