"""The panel is on screen before anything heavy is loaded, and goes to work after that."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QObject

HEAVY = ("torch", "zarr", "pandas", "skimage", "laptrack", "numcodecs")
PROGRAM = f"""
import sys
import napari.components, napari.layers, napari.utils.notifications
before = set(sys.modules)
import napari_sam.plugin.widget
print(*sorted(set({HEAVY}) & (set(sys.modules) - before)))
"""


@pytest.mark.slow
def test_the_panel_is_imported_without_what_it_does_not_show() -> None:
    command = [sys.executable, "-c", PROGRAM]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ended.stdout.split() == []


class FirstPaint(QObject):
    """Notes how far a widget is when it is drawn for the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.state: tuple[object, object] | None = None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 Qt's name
        if event.type() == QEvent.Type.Paint and self.state is None:
            self.state = (watched.bridge, watched.worker.idle)
        return False


def test_the_panel_is_drawn_before_an_image_is_taken_and_torch_loaded(
    make_napari_viewer, qtbot
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(np.zeros((32, 32), np.uint8))
    paint = FirstPaint()
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam-annotator")
    widget.installEventFilter(paint)
    qtbot.waitUntil(lambda: paint.state is not None)
    assert paint.state == (None, True)
    qtbot.waitUntil(lambda: widget.bridge is not None, timeout=60_000)
    qtbot.waitUntil(lambda: widget.predictor is not None, timeout=60_000)


def test_a_panel_that_nobody_sees_goes_to_work_all_the_same(make_napari_viewer, qtbot) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((32, 32), np.uint8))
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam-annotator")
    qtbot.waitUntil(lambda: widget.bridge is not None, timeout=60_000)
