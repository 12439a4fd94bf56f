"""What a click costs the GUI thread when its answer lands in the labels, drawing apart.

    python benchmarks/labels.py [--repeats N]

A disc of 12,000 pixels is written into napari's Labels layer through its undo history, in labels of
1024 x 1024 and of 8192 x 8192: the cost belongs to the mask, not to the frame.
"""

from __future__ import annotations

import argparse
import sys
from itertools import count

import numpy as np
from napari.layers import Labels

from measuring import markdown, seconds
from napari_sam.engine import FrameStack
from napari_sam.session import Region, mask_to_edit
from napari_sam.session.edits import Footprint

SIDES = (1024, 8192)
RADIUS = 62


def land(side: int, repeats: int) -> tuple[float, float]:
    """Seconds to find what changes, and to write it into napari's layer."""
    labels = Labels(np.zeros((side, side), np.uint16))
    y, x = np.ogrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    disc = y**2 + x**2 <= RADIUS**2
    stack = FrameStack.from_array(labels.data, rgb=False)
    number = count()

    def edit_of() -> tuple:
        n = next(number)
        top, left = 150 * (n % 6), 150 * (n // 6 % 6)
        mask = Region.from_mask(disc, top, left)
        return mask_to_edit(mask, labels.data, stack.index(), n + 1, Footprint.empty())

    def write() -> None:
        edit, _ = edit_of()
        labels.data_setitem(edit.indices, edit.values)

    decide = seconds(edit_of, repeats)
    return decide, seconds(write, repeats) - decide


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=31)
    given = parser.parse_args()
    figures = {side: land(side, given.repeats) for side in SIDES}
    rows = [
        (
            f"{side}²",
            *(f"{1000 * value:.2f} ms" for value in values),
            f"{1000 * sum(values):.2f} ms",
        )
        for side, values in figures.items()
    ]
    header = ("labels", "what changes", "napari's data_setitem", "in all")
    sys.stdout.write(markdown(header, rows))


if __name__ == "__main__":
    main()
