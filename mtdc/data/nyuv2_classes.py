"""NYUv2's class sets: 40 classes (Gupta et al., CVPR 2013) and 13 (Couprie et al., ICLR 2013)."""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from ..structures import SEMANTICS

#: Stored label k is entry k - 1; stored 0 is "not labelled".
NYU40_CLASSES = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture", "counter", "blinds",
    "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat", "clothes", "ceiling", "books", "refrigerator",
    "television", "paper", "towel", "shower curtain", "box", "whiteboard", "person", "night stand", "toilet", "sink", "lamp",
    "bathtub", "bag", "other structure", "other furniture", "other prop",
)  # fmt: skip
NYU13_CLASSES = (
    "bed", "books", "ceiling", "chair", "floor", "furniture", "objects", "picture", "sofa", "table", "tv", "wall", "window",
)  # fmt: skip
CLASSES = {40: NYU40_CLASSES, 13: NYU13_CLASSES}
#: Stored label of the 13 classes for each of the 40, in order.
FROM_40_TO_13 = (
    12, 5, 6, 1, 4, 9, 10, 12, 13, 6, 8, 6, 13, 10, 6, 13, 6, 7, 7, 5, 7, 3, 2, 6, 11, 7, 7, 7, 7, 7, 7, 6, 7, 7, 7, 7, 7, 7, 6,
    7,
)  # fmt: skip


def class_indices(stored: np.ndarray, stored_classes: int, classes: int, name: str) -> np.ndarray:
    """Stored labels, 1 .. ``stored_classes`` with 0 = not labelled, as indices 0 .. ``classes`` - 1 with 255 = unknown.

    Shapes: ``(H, W)`` integers -> ``(H, W)`` int64.

    Raises:
        DataError: A label beyond the stored classes; ``name`` says of which file.
    """
    labels = stored.astype(np.int64)
    if labels.size and not 0 <= labels.min() <= labels.max() <= stored_classes:
        odd = labels[(labels < 0) | (labels > stored_classes)][0]
        hint = " Are these the 894 raw labels? They come with the classMapping40.mat of 40." if odd <= 894 else ""
        raise DataError(f"{name} holds the label {odd}; expected 0 (none) to {stored_classes}.{hint}")
    if stored_classes == 40 and classes == 13:
        labels = np.array((0, *FROM_40_TO_13))[labels]
    return np.where(labels == 0, int(SEMANTICS.unknown), labels - 1)
