"""What can be asked of the street world: closed yards, wet roads, noise that varies, kinds of truth, both cameras."""

import numpy as np

from mtdc.data.street import StreetOptions, draw_frame


def test_a_yard_is_closed_on_all_sides_by_what_stands_near():
    open_columns = []
    for number in range(8):
        frame = draw_frame(StreetOptions(size=(88, 304), layouts=("yard",)), 5, number, ("dense",))
        # Just above the horizon a level ray meets nothing but what stands up.
        dense = frame.maps["dense"][round(frame.intrinsics[1, 2]) - 4]
        open_columns.append(((dense == 0) | (dense > 66)).mean())
    # What is farther than the far wall is seen through the gate alone.
    assert np.mean(open_columns) < 0.1
