"""The animated picture of the documentation: cells propagated in the real window.

`make_pictures.py` runs this where there is a display, or a virtual one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from in_window import open_window, wait
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from napari_sam.engine import Prompts

N_FRAMES, SHAPE = 14, (260, 300)
WIDTH = 900  # of the picture in pixels


def movie(seed: int = 4) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Cells that drift and turn, (T, H, W), and where they are in the first frame, (n, 2) y, x."""
    rng = np.random.default_rng(seed)
    starts = np.array(
        [(60, 60), (70, 150), (60, 235), (150, 95), (160, 200), (215, 60), (220, 150)]
    )
    drifts = rng.normal(0, 3.0, starts.shape)
    axes, angles = rng.uniform(15, 27, starts.shape), rng.uniform(0, np.pi, len(starts))
    levels, turns = rng.uniform(90, 190, len(starts)), rng.normal(0, 0.08, len(starts))
    ys, xs = np.mgrid[: SHAPE[0], : SHAPE[1]]
    grain = ndimage.gaussian_filter(rng.normal(size=SHAPE), 2.5)
    frames = []
    for t in range(N_FRAMES):
        frame = np.full(SHAPE, 22.0)
        for n, (y, x) in enumerate(starts + t * drifts):
            angle = angles[n] + t * turns[n]
            u = np.cos(angle) * (xs - x) + np.sin(angle) * (ys - y)
            v = np.cos(angle) * (ys - y) - np.sin(angle) * (xs - x)
            inside = (u / axes[n, 0]) ** 2 + (v / axes[n, 1]) ** 2
            texture = 1 + 1.2 * ndimage.shift(grain, (y - starts[n, 0], x - starts[n, 1]), order=1)
            frame = np.maximum(frame, levels[n] * texture * (1.1 - 0.5 * inside) * (inside < 1))
        blurred = ndimage.gaussian_filter(frame, 1.2) + rng.normal(0, 5, SHAPE)
        frames.append(blurred.clip(0, 255).astype(np.uint8))
    return np.stack(frames), starts.astype(float)


def film(path: Path) -> None:
    """Click every cell of the first frame, propagate all of them, and film the window."""
    pixels, places = movie()
    viewer, widget = open_window(pixels, "cells", (1250, 860), axis_labels=("t", "y", "x"))
    viewer.dims.set_point(0, 0)
    pictures: list[Image.Image] = []

    def shoot() -> None:
        picture = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)[..., :3])
        height = round(WIDTH * picture.height / picture.width)
        pictures.append(picture.resize((WIDTH, height), Image.Resampling.LANCZOS))

    for object_id, place in enumerate(places, 1):
        widget.bridge.session.edit(object_id, widget.bridge.frame, Prompts.from_points([place]))
    wait(lambda: not widget.bridge.session.pending() and widget.worker.idle)
    widget.pages.tabs.setCurrentIndex(widget.stack_page)
    shoot()
    widget.stack.which.setCurrentIndex(widget.stack.which.findData("all"))
    widget.stack.follow.setChecked(True)
    widget.stack.tracks.setChecked(True)
    shown = [0]

    def propagated() -> bool:
        step = viewer.dims.current_step[0]
        if step != shown[-1]:
            shown.append(step)
            shoot()
        return not widget.propagation.runs and widget.worker.idle

    widget.propagation.propagate()
    wait(propagated)
    shoot()
    viewer.close()
    durations = [1500, *[300] * (len(pictures) - 2), 2500]
    first, *others = (picture.quantize(96) for picture in pictures)
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0, optimize=True)


if __name__ == "__main__":
    film(Path(sys.argv[1]))
