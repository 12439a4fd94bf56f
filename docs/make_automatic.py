"""The picture of the page Automatic: coins found in the real window.

`make_pictures.py` runs this where there is a display, or a virtual one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import napari
from PIL import Image
from qtpy.QtWidgets import QApplication
from skimage import data

from napari_sam.plugin.sessions.places import NOT_SAVED

PATIENCE = 300  # seconds
WIDTH = 1100  # of the picture in pixels


def photograph(path: Path) -> None:
    """Find the coins of scikit-image's picture, keep the larger ones, and write what is seen."""
    viewer = napari.Viewer(title="napari: Segment Anything")
    viewer.window.resize(1250, 960)
    viewer.add_image(data.coins(), name="coins", metadata={NOT_SAVED: True})
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam-annotator", "Segment Anything")
    wait(lambda: widget.predictor is not None and widget.bridge is not None)
    viewer.reset_view()
    widget.pages.tabs.setCurrentIndex(widget.automatic_page)
    widget.automatic.begin()
    wait(lambda: not widget.automatic.is_busy and widget.worker.idle)
    widget.everything.unfold.click()
    widget.everything.control("min_area").setValue(1200)
    wait(lambda: widget.worker.idle)
    picture = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)[..., :3])
    height = round(WIDTH * picture.height / picture.width)
    small = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    small.quantize(256).save(path, optimize=True)
    viewer.close()


def wait(done: Callable[[], bool]) -> None:
    """Let the window live until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            sys.exit("the window did not answer in time")
        QApplication.processEvents()
        time.sleep(0.01)
    for _ in range(20):
        QApplication.processEvents()


if __name__ == "__main__":
    photograph(Path(sys.argv[1]))
