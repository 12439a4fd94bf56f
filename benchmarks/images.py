"""Memory of a window that opens one image after the other, all layers cleared between.

    python benchmarks/images.py [--images N]

Each image of 1024² is clicked once. Beside it, in a process of its own, napari alone with the same
layers. Embeddings are kept up to a bound; what the window grows by beyond it is what counts.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from measuring import markdown, own_folders, resident, screen, trim_memory, turn, wait

if TYPE_CHECKING:
    from napari import Viewer

SIDE = 1024
NAME = "napari-sam-annotator"
WARM_UP = 5  # images before the first that counts


def pictures(n: int) -> Iterator[np.ndarray]:
    """Noise, no image like the one before."""
    rng = np.random.default_rng(0)
    for _ in range(n):
        yield rng.integers(0, 60_000, (SIDE, SIDE), np.uint16)


def annotated(viewer: Viewer, n: int) -> Iterator[float]:
    """Each image clicked in the window; yields what the embeddings take, in MB."""
    viewer.add_image(next(pictures(1)))
    _, widget = viewer.window.add_plugin_dock_widget(NAME)
    wait(lambda: widget.predictor is not None and widget.bridge is not None)
    viewer.layers.clear()
    wait(lambda: widget.bridge is None)
    for picture in pictures(n):
        image = viewer.add_image(picture)
        wait(lambda image=image: widget.bridge is not None and widget.bridge.image is image)
        widget.bridge.points.add((SIDE // 2, SIDE // 2))
        wait(lambda: widget.bridge.labels.data.any() and not widget.worker.is_waited_for)
        turn(0.2)
        viewer.layers.clear()
        wait(lambda: widget.bridge is None)
        turn(0.2)
        yield widget.cache.nbytes / 1e6


def alone(viewer: Viewer, n: int) -> Iterator[float]:
    """The same layers by napari alone."""
    for picture in pictures(n):
        viewer.add_image(picture)
        labels = viewer.add_labels(np.zeros((SIDE, SIDE), np.uint16))
        for _ in range(2):
            viewer.add_labels(np.zeros((SIDE, SIDE), np.uint8))
        viewer.add_shapes(None, ndim=2)
        viewer.add_points([(SIDE // 2, SIDE // 2)])
        labels.data_setitem(np.nonzero(np.ones((100, 100))), 1)
        del labels
        turn(0.4)
        viewer.layers.clear()
        turn(0.2)
        yield 0.0


def growth(n: int, *, is_alone: bool) -> dict[str, float]:
    """MB from the end of the warm-up to the last image, in this process."""
    import napari

    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1500, 950)
    sizes, embeddings = [], []
    for n_done, held in enumerate((alone if is_alone else annotated)(viewer, n), 1):
        if n_done in (WARM_UP, n):
            gc.collect()
            trim_memory()
            sizes.append(resident())
            embeddings.append(held)
    return {
        "resident": sizes[-1],
        "growth": sizes[-1] - sizes[0],
        "embeddings": embeddings[-1] - embeddings[0],
    }


def measure(n: int, *, is_alone: bool) -> dict[str, float]:
    """The same in a process of its own."""
    command = [*screen(), sys.executable, __file__, "--images", str(n), "--here"]
    command += ["--alone"] * is_alone
    with own_folders() as environment:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--here", action="store_true", help="in this process")
    parser.add_argument("--alone", action="store_true", help="napari's own")
    given = parser.parse_args()
    if given.here:
        said = growth(given.images, is_alone=given.alone)
        sys.stdout.write(f"\n{json.dumps(said)}\n")
        sys.stdout.flush()
        os._exit(0)  # closing the window is no part of it
    rows = []
    for name, is_alone in (("with the panel", False), ("napari alone, same layers", True)):
        found = measure(given.images, is_alone=is_alone)
        beyond = found["growth"] - found["embeddings"]
        rows.append(
            (
                name,
                f"{found['resident']:.0f} MB",
                f"{found['embeddings']:.0f} MB",
                f"{beyond:.0f} MB",
                f"{beyond / (given.images - WARM_UP):.1f} MB",
            )
        )
    header = (f"{given.images} images", "resident", "more embeddings", "growth beyond", "an image")
    sys.stdout.write(markdown(header, rows))


if __name__ == "__main__":
    main()
