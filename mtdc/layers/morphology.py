"""What fills by morphology share: windows, and each column's topmost value carried upwards."""

from __future__ import annotations

import numpy as np


def diamond(size: int) -> np.ndarray:
    """Window of the pixels whose row and column offsets sum to at most half of the odd ``size``: ``(size, size)`` uint8."""
    offsets = np.abs(np.arange(size) - size // 2)
    return (offsets[:, None] + offsets <= size // 2).astype(np.uint8)


def cross(size: int) -> np.ndarray:
    """Window of the middle row and the middle column: ``(size, size)`` uint8."""
    middle = np.arange(size) == size // 2
    return (middle[:, None] | middle).astype(np.uint8)


def square(size: int) -> np.ndarray:
    """Full window: ``(size, size)`` uint8."""
    return np.ones((size, size), dtype=np.uint8)


def extend_upwards(filled: np.ndarray) -> np.ndarray:
    """Each column's topmost value in all rows above it, ``(H, W)``; 0 is empty, and empty columns stay empty."""
    topmost = (filled > 0).argmax(axis=0)
    values = filled[topmost, np.arange(filled.shape[1])]
    return np.where(np.arange(filled.shape[0])[:, None] < topmost, values, filled)
