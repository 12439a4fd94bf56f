"""What the scripts share that photograph the window: opening, waiting, saving."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from numpy.typing import NDArray
from PIL import Image
from qtpy.QtWidgets import QApplication

from napari_sam.plugin.sessions.places import NOT_SAVED

PATIENCE = 300  # seconds
WIDTH = 1100  # of the picture in pixels


def open_window(
    pixels: NDArray[Any], name: str, size: tuple[int, int] = (1250, 960), **told: Any
) -> tuple[napari.Viewer, Any]:
    """A window with an image, and the panel in it, which is ready to work."""
    viewer = napari.Viewer(title="napari: Segment Anything")
    viewer.window.resize(*size)
    viewer.add_image(pixels, name=name, metadata={NOT_SAVED: True}, **told)
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam-annotator", "Segment Anything")
    wait(lambda: widget.predictor is not None and widget.bridge is not None)
    viewer.reset_view()
    return viewer, widget


def wait(done: Callable[[], bool]) -> None:
    """Let the window live until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            sys.exit("the window did not answer in time")
        QApplication.processEvents()
        time.sleep(0.005)
    for _ in range(20):
        QApplication.processEvents()


def save(viewer: napari.Viewer, path: Path) -> None:
    """Write what is seen, and close the window."""
    picture = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)[..., :3])
    height = round(WIDTH * picture.height / picture.width)
    small = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    small.quantize(256, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
    viewer.close()
