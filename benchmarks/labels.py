"""What labels cost the GUI thread, drawing apart: a landing click, a hover preview, a long undo.

    python benchmarks/labels.py [--repeats N]

A disc of 12,000 pixels is written into napari's Labels layer through its undo history, and shown
as a preview, in frames of 1024 x 1024 and of 8192 x 8192: the cost belongs to the mask, not to the
frame. Then five objects are propagated over 500 frames of 1024 x 1024, and all of it is undone and
redone at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from itertools import count
from statistics import median
from time import perf_counter

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels

from measuring import markdown, seconds
from napari_sam.engine import FrameStack
from napari_sam.plugin.layers.bridge import LayerBridge
from napari_sam.plugin.layers.label_link import Defer
from napari_sam.session import Propagated, Region, mask_to_edit
from napari_sam.session.edits import Footprint

SIDES = (1024, 8192)
RADIUS = 62
N_FRAMES, N_CARRIED = 500, 5
DISC = np.hypot(*np.ogrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]) <= RADIUS


def land(side: int, repeats: int) -> tuple[float, float]:
    """Seconds to find what changes, and to write it into napari's layer."""
    labels = Labels(np.zeros((side, side), np.uint16))
    stack = FrameStack.from_array(labels.data, rgb=False)
    number = count()

    def edit_of() -> tuple:
        n = next(number)
        top, left = 150 * (n % 6), 150 * (n // 6 % 6)
        mask = Region.from_mask(DISC, top, left)
        return mask_to_edit(mask, labels.data, stack.index(), n + 1, Footprint.empty())

    def write() -> None:
        edit, _ = edit_of()
        labels.data_setitem(edit.indices, edit.values)

    decide = seconds(edit_of, repeats)
    return decide, seconds(write, repeats) - decide


def preview(side: int, repeats: int) -> float:
    """Seconds to show a mask under the cursor, each time elsewhere."""
    bridge = bridge_on((side, side))
    number = count()

    def show() -> None:
        n = next(number)
        bridge.show_preview(Region(7 * (n % 100), 5 * (n % 100), DISC))

    return seconds(show, repeats)


def long_run() -> tuple[float, float, float]:
    """Seconds to land one propagated object, to undo the whole run, and to redo it."""
    waiting: set[Callable[[], None]] = set()
    bridge = bridge_on((N_FRAMES, 1024, 1024), waiting.add)

    def once(step: Callable[[], None]) -> float:
        start = perf_counter()
        step()
        while waiting:  # what is put off until the event loop's next turn
            waiting.pop()()
        return perf_counter() - start

    run, landing = bridge.session.new_run(), []
    for t in range(1, N_FRAMES):
        for n in range(N_CARRIED):
            region = Region(150 * n, 100 + t % 300, DISC)
            there, source = (t, None, None), (t - 1, None, None)
            propagated = Propagated(n + 1, there, region, 0.9, 0.9, 0.9, "pocket", source)
            start = perf_counter()
            bridge.session.land_propagated(propagated, run)
            landing.append(perf_counter() - start)
    return median(landing), once(bridge.undo), once(bridge.redo)


def bridge_on(shape: tuple[int, ...], defer: Defer = lambda function: function()) -> LayerBridge:
    """An empty image under annotation."""
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros(shape, np.uint8), contrast_limits=(0, 255))
    return LayerBridge(viewer, image, defer=defer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=31)
    given = parser.parse_args()
    rows = []
    for side in SIDES:
        decide, write = land(side, given.repeats)
        shown = preview(side, given.repeats)
        times = (decide, write, decide + write, shown)
        rows.append((f"{side}²", *(f"{1000 * value:.2f} ms" for value in times)))
    header = ("labels", "what changes", "napari's data_setitem", "in all", "a hover preview")
    sys.stdout.write(markdown(header, rows) + "\n")
    landing, undo, redo = long_run()
    row = (f"{1000 * landing:.2f} ms", f"{undo:.2f} s", f"{redo:.2f} s")
    run = f"{N_CARRIED} objects over {N_FRAMES} frames of 1024²"
    sys.stdout.write(markdown((run, "undone", "redone"), [(f"one lands in {row[0]}", *row[1:])]))


if __name__ == "__main__":
    main()
