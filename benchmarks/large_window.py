"""A real window on a large OME-Zarr: the first mask, clicks, panning and memory.

    python benchmarks/large_window.py [--side 10000] [--image FOLDER.ome.zarr]

In processor time, which is nearly the same on a busy computer. Panning is compared with napari
alone, in a process of its own with the same layers: a gap is what the window's thread does between
two turns of its event loop. On Linux without a screen that is Xvfb's, where all drawing is the
processor's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import napari
import numpy as np

from large import CHUNK, PITCH, write_image
from measuring import leave, markdown, on_screen, peak_memory, resident, turn, wait
from napari_sam.engine import open_image
from napari_sam.plugin.layers.image_view import camera_of
from napari_sam.session import empty_labels
from window import NAME, Watch

PLACES = 2  # in which objects are annotated
CLICKS = 4  # in each
STEPS = 40  # of a pan, each a tenth of the screen


def nuclei_in(chunk: int) -> list[tuple[float, float]]:
    """Where to click in the middle of some nuclei: the brightest place of their fields."""
    return [
        (CHUNK * chunk + 8 + PITCH * row + 32, CHUNK * chunk + 8 + PITCH * column + 32)
        for row in (5, 6)
        for column in (5, 6)
    ][:CLICKS]


def look_at(viewer: napari.Viewer, y: float, x: float) -> None:
    """Bring a place to the middle of the canvas, a pixel of the screen to a pixel."""
    camera = camera_of(viewer)
    camera.zoom, camera.center = 1.0, (0, y, x)


def pan(viewer: napari.Viewer) -> float:
    """The longest gap while the image is moved, in seconds."""
    y, x = camera_of(viewer).center[-2:]
    with Watch() as watch:
        for step in range(STEPS):
            look_at(viewer, y + 80 * step, x + 60 * step)
            turn(0.03)
    return watch.gap


def alone(levels: list[object]) -> dict[str, float]:
    """Napari with the same layers."""
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1500, 950)
    viewer.add_image(levels, multiscale=True, contrast_limits=(0, 255))
    viewer.add_labels(empty_labels(tuple(levels[0].shape)))
    look_at(viewer, 5 * CHUNK, 5 * CHUNK)
    turn(2)
    return {"gap": pan(viewer)}


def annotate(levels: list[object]) -> dict[str, float]:
    """Annotate in several places, then pan."""
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1500, 950)
    _, widget = viewer.window.add_plugin_dock_widget(NAME)
    wait(lambda: widget.predictor is not None)
    turn(1)
    before, wall, cpu = resident(), perf_counter(), process_time()
    viewer.add_image(levels, multiscale=True, contrast_limits=(0, 255))
    look_at(viewer, *nuclei_in(1)[0])
    wait(lambda: widget.bridge is not None)
    said: dict[str, float] = {}
    times: list[float] = []
    for chunk in range(1, PLACES + 1):
        look_at(viewer, *nuclei_in(chunk)[0])
        turn(0.3)
        for n, at in enumerate(nuclei_in(chunk)):
            if n == 1:  # what is on screen, and beside it, is embedded from now on
                wait(lambda: widget.worker.idle)
                turn(0.5)
            cpu = cpu if not said else process_time()
            widget.bridge.points.add(at)
            wait(lambda: not widget.bridge.session.pending() and not widget.deferred.is_waiting)
            if not said:
                said = {"first_s": perf_counter() - wall, "first_cpu_s": process_time() - cpu}
            elif n:
                times.append(process_time() - cpu)
            widget.object_list.next_object()
            turn(0.1)
    wait(lambda: widget.worker.idle)
    n_objects = len(widget.bridge.session.objects())
    turn(1)
    gap = pan(viewer)
    wait(lambda: widget.worker.idle)
    memory = {"before_mb": before, "peak_mb": peak_memory()}
    return said | memory | {"click_s": median(times), "gap": gap, "n": n_objects}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=10_000)
    parser.add_argument("--image", type=Path, help="one that large.py has made")
    parser.add_argument("--row", choices=["annotate", "alone"], help="in this process")
    given = parser.parse_args()
    if given.row:
        levels = open_image(given.image).data
        said = annotate(levels) if given.row == "annotate" else alone(levels)
        leave(said)
    with tempfile.TemporaryDirectory() as folder:
        path = given.image or Path(folder) / "nuclei.ome.zarr"
        if given.image is None:
            write_image(path, given.side)
        here, napari_alone = (
            on_screen(__file__, "--image", str(path), "--row", row) for row in ("annotate", "alone")
        )
    side = int(np.asarray(open_image(given.image).data[0].shape)[0]) if given.image else given.side
    rows = [
        (
            "the first mask, from opening the image",
            f"{here['first_cpu_s']:.1f} s ({here['first_s']:.1f} s of the clock)",
            "",
        ),
        ("a click on what is on screen and embedded", f"{1000 * here['click_s']:.0f} ms", ""),
        (
            "panning, longest gap",
            f"{1000 * here['gap']:.0f} ms",
            f"{1000 * napari_alone['gap']:.0f} ms",
        ),
        (
            f"peak memory, {here['n']:.0f} objects in {PLACES} places",
            f"{here['peak_mb']:.0f} MB (before {here['before_mb']:.0f} MB)",
            "",
        ),
    ]
    sys.stdout.write(
        markdown((f"{side:,}² OME-Zarr, embedded model", "here", "napari alone"), rows)
    )


if __name__ == "__main__":
    main()
