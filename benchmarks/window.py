"""How long the user waits, and how long the window stands still, on a real window.

    python benchmarks/window.py [--repeats N]

Each time in a process of its own, in turns with napari alone where there is something to compare
with: the same layers, and an empty dock. A gap is what the window's thread does between two turns
of its event loop. All is in processor time, which is nearly the same on a busy computer. On Linux
without a screen that is Xvfb's, where all drawing is the processor's.
"""

from __future__ import annotations

import argparse
import sys
from statistics import median
from time import process_time, thread_time
from typing import TYPE_CHECKING

import numpy as np

from measuring import leave, markdown, on_screen, turn, wait

if TYPE_CHECKING:
    from napari import Viewer

    from napari_sam.plugin.widget import SamWidget

SIDE, N_FRAMES = 1024, 12
N_OBJECTS = 100  # of the labels that are saved
NAME = "napari-sam-annotator"
CLICK = (0, 505, 505)


class Watch:
    """The most work between two turns of the event loop, in processor seconds of its thread."""

    def __enter__(self) -> Watch:
        from qtpy.QtCore import QTimer

        self._turns = [thread_time()]
        self._timer = QTimer()
        self._timer.timeout.connect(self._note)
        self._timer.start(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.stop()
        self._note()
        self.gap = float(np.diff(self._turns).max())

    def _note(self) -> None:
        self._turns.append(thread_time())


def cells() -> np.ndarray:
    """Bright discs in a grid that move a little from frame to frame, (t, y, x)."""
    y, x = np.mgrid[:SIDE, :SIDE]
    shifts = 2 * np.arange(N_FRAMES)[:, None, None]
    inside = np.hypot((y + shifts) % 100 - 50, (x + shifts) % 100 - 50) < 30
    noise = np.random.default_rng(0).integers(0, 40, inside.shape)
    return np.where(inside, 180, 60).astype(np.uint8) + noise.astype(np.uint8)


def open_viewer() -> Viewer:
    """A window with the cells."""
    import napari

    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1500, 950)
    viewer.add_image(cells(), name="cells", axis_labels=("t", "y", "x"))
    viewer.dims.set_point(0, 0)  # napari begins in the middle
    turn(1)
    return viewer


def open_dock(viewer: Viewer) -> SamWidget:
    """The dock, ready for a click."""
    _, widget = viewer.window.add_plugin_dock_widget(NAME)
    wait(lambda: widget.predictor is not None and widget.bridge is not None)
    wait(lambda: widget.worker.idle)
    turn(1)
    return widget


def click(widget: SamWidget, at: tuple[int, ...]) -> None:
    """A point as from the canvas, until its mask is on screen."""
    bridge = widget.bridge
    if bridge is not None:
        bridge.points.add(at)
        wait(lambda: bridge.labels.data[at] and not widget.deferred.is_waiting)


def own_layers(viewer: Viewer) -> None:
    """The layers that the dock makes, by napari alone."""
    shape = viewer.layers[0].data.shape
    viewer.add_labels(np.zeros(shape, np.uint16))
    for _ in range(2):
        viewer.add_labels(np.zeros(shape[-2:], np.uint8))
    viewer.add_shapes(None, ndim=len(shape))
    viewer.add_points(None, ndim=len(shape))


def opening(viewer: Viewer) -> dict[str, float]:
    """The longest gap while the dock opens, up to the loaded model."""
    with Watch() as watch:
        open_dock(viewer)
    return {"opening the dock, longest gap": watch.gap}


def opening_alone(viewer: Viewer) -> dict[str, float]:
    """The longest gap while an empty dock opens and the same layers are made."""
    from qtpy.QtWidgets import QWidget

    with Watch() as watch:
        viewer.window.add_dock_widget(QWidget())
        turn(0.2)
        own_layers(viewer)
        turn(1)
    return {"opening the dock, longest gap": watch.gap}


def closing(viewer: Viewer) -> dict[str, float]:
    """The work of closing the dock after a click that is saved."""
    widget = open_dock(viewer)
    click(widget, CLICK)
    wait(lambda: widget.bridge is not None and widget.bridge.session.saved is not None)
    turn(1)
    start = thread_time()
    viewer.window.remove_dock_widget(widget)
    turn(0.1)
    return {"closing the dock": thread_time() - start}


def closing_alone(viewer: Viewer) -> dict[str, float]:
    """The work of removing the layers that go with the dock, and an empty dock.

    In a process with torch, as the other is: napari collects garbage among its objects, too.
    """
    import torch  # noqa: F401
    from qtpy.QtWidgets import QWidget

    dock = viewer.window.add_dock_widget(QWidget())
    own_layers(viewer)
    turn(1)
    start = thread_time()
    with viewer.layers.batched_update():
        for layer in list(viewer.layers[2:]):
            viewer.layers.remove(layer)
    viewer.window.remove_dock_widget(dock)
    turn(0.1)
    return {"closing the dock": thread_time() - start}


def clicking(viewer: Viewer) -> dict[str, float]:
    """The work until a click has its mask, at rest and while objects are propagated.

    Of all threads: what is propagated until the click is taken delays it.
    """
    widget = open_dock(viewer)
    click(widget, CLICK)
    widget.object_list.next_object()
    start = process_time()
    click(widget, (0, 405, 405))
    at_rest = process_time() - start
    widget.propagation.propagate()
    wait(lambda: any(run.frames for run in widget.propagation.runs.values()))
    times = []
    for n in range(3):
        widget.object_list.next_object()
        turn(0.1)
        start = process_time()
        click(widget, (0, 305, 305 + 100 * n))
        times.append(process_time() - start)
    if not widget.propagation.runs:
        raise RuntimeError("the propagation ended before the last click")
    widget.propagation.stop()
    return {"a click to its mask": at_rest, "the same while propagating": median(times)}


def saving(viewer: Viewer) -> dict[str, float]:
    """The longest gap while a whole stack of labels is saved."""
    widget = open_dock(viewer)
    click(widget, CLICK)
    bridge = widget.bridge
    if bridge is None:
        return {}
    labels = np.arange(1, N_OBJECTS + 1, dtype=bridge.labels.data.dtype).repeat(10)
    for frame in bridge.labels.data:
        frame[: len(labels), :500] = labels[:, None]
    for frame in bridge.session.stack.indices():
        bridge.session.changed[frame] = bridge.session.n_changes
    bridge.points.add((0, 705, 705))
    wait(lambda: not bridge.session.pending())
    with Watch() as watch:
        wait(lambda: not widget.saving._is_due() and not widget.saving._is_busy)
    return {"saving, longest gap": watch.gap}


def idle(viewer: Viewer) -> dict[str, float]:
    """The longest gap of napari alone with the same layers, at rest."""
    own_layers(viewer)
    turn(1)
    with Watch() as watch:
        turn(3)
    return {"saving, longest gap": watch.gap}


ROWS = {"opening": opening, "closing": closing, "clicking": clicking, "saving": saving}
ALONE = {"opening": opening_alone, "closing": closing_alone, "saving": idle}


def measure(name: str, *, alone: bool) -> dict[str, float]:
    """What a row says, in a process of its own."""
    return on_screen(__file__, "--row", name, *["--alone"] * alone)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--row", choices=ROWS, help="this one only, in this process")
    parser.add_argument("--alone", action="store_true", help="napari's own")
    given = parser.parse_args()
    if given.row:
        said = (ALONE if given.alone else ROWS)[given.row](open_viewer())
        leave(said)
    table: dict[str, tuple[list[float], list[float]]] = {}
    for _ in range(given.repeats):
        for name in ROWS:
            for is_alone in [False, True] if name in ALONE else [False]:
                for what, seconds in measure(name, alone=is_alone).items():
                    table.setdefault(what, ([], []))[is_alone].append(seconds)
    rows = [
        (what, *(f"{1000 * median(times):.0f} ms" if times else "" for times in columns))
        for what, columns in table.items()
    ]
    sys.stdout.write(markdown((f"{N_FRAMES} × {SIDE}²", "here", "napari alone"), rows))


if __name__ == "__main__":
    main()
