"""The picture of the page Results: coins measured in the real window, some chosen in the plot.

`make_pictures.py` runs this where there is a display, or a virtual one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from PIL import Image
from qtpy.QtWidgets import QApplication
from skimage import data

from napari_sam.plugin.sessions.places import NOT_SAVED

PATIENCE = 300  # seconds
WIDTH = 1100  # of the picture in pixels


def photograph(path: Path, theme: str = "dark") -> None:
    """Find the coins of scikit-image's picture, measure them, choose the large ones."""
    viewer = napari.Viewer(title="napari: Segment Anything")
    viewer.theme = theme
    viewer.window.resize(1280, 960)
    viewer.add_image(data.coins(), name="coins", metadata={NOT_SAVED: True})
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam-annotator", "Segment Anything")
    wait(lambda: widget.predictor is not None and widget.bridge is not None)
    viewer.reset_view()
    widget.pages.tabs.setCurrentIndex(widget.automatic_page)
    widget.automatic.begin()
    wait(lambda: not widget.automatic.is_busy and widget.worker.idle)
    widget.everything.accept_all.click()
    wait(lambda: widget.worker.idle and not widget.deferred.is_waiting)
    widget.pages.tabs.setCurrentIndex(widget.results_page)
    widget.measurements.run.click()
    wait(lambda: not widget.measuring.is_busy)
    panel = widget.measurements
    panel.across.setCurrentIndex(panel.across.findData("area_px2"))
    panel.up.setCurrentIndex(panel.up.findData("intensity_mean"))
    table = widget.measuring.table
    panel.plot.chosen.emit(np.flatnonzero(table["area_px2"] > table["area_px2"].quantile(0.7)))
    wait(lambda: not widget.deferred.is_waiting)
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


photograph(Path(sys.argv[1]), *sys.argv[2:])
