"""Scenes of one body, for the tests of the street world."""

import numpy as np
import torch

from mtdc.data.street.builder import Builder
from mtdc.data.street.ground import Ground

#: Intrinsics of a small camera.
K = torch.tensor([[60.0, 0, 39.0], [0, 60.0, 20.0], [0, 0, 1]])


def one_body(kind, offset, half, **more):
    b = Builder(Ground(), np.random.default_rng(0))
    b.add(b.place(0, 0), kind, offset, half, (0.5, 0.5, 0.5), 2, **more)
    return b.build()[0]
