"""A user at a real window: canvas clicks and drags, keys, and time measured in the event loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter, thread_time

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

DRAG_STEP_MS = 10  # napari drops moves that come faster than every 5 ms
PATIENCE_MS = 60_000


@pytest.fixture(autouse=True)
def user_folders(tmp_path, monkeypatch) -> None:
    """Embeddings and sessions of the tests go nowhere near the user's own."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path / "data")


class User:
    """One user, one viewer, one dock widget opened as from the menu."""

    def __init__(self, viewer, qtbot) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        _, self.widget = viewer.window.add_plugin_dock_widget("napari-sam-annotator")
        self.canvas = viewer.window._qt_viewer.canvas

    # What the user sees

    def ready(self) -> None:
        """Wait until everything requested has landed."""
        self.qtbot.waitUntil(self._is_ready, timeout=PATIENCE_MS)

    def _is_ready(self) -> bool:
        bridge = self.widget.bridge
        waiting = self.widget.deferred.is_waiting or self.widget.answering._settled.isActive()
        return (
            self.widget.predictor is not None
            and bridge is not None
            and not waiting
            and not self.widget.worker.is_waited_for
            and self.widget.reopening.image is None
            and not bridge.session.pending()
        )

    def refit(self) -> None:
        """Let the image fill the canvas, after docks took their room."""
        self.qtbot.wait(50)
        self.viewer.reset_view()
        self.qtbot.wait(50)

    # What the user does

    def click(self, point_world, button=Qt.MouseButton.LeftButton, modifiers=None) -> None:
        """Click the canvas at a position in the world."""
        modifiers = Qt.KeyboardModifier.NoModifier if modifiers is None else modifiers
        at = self._on_canvas(point_world)
        self._send(QEvent.Type.MouseMove, at, Qt.MouseButton.NoButton, modifiers)
        self._send(QEvent.Type.MouseButtonPress, at, button, modifiers)
        self._send(QEvent.Type.MouseButtonRelease, at, button, modifiers)

    def move(self, point_world) -> None:
        """Move the cursor without pressing anything."""
        none = Qt.KeyboardModifier.NoModifier
        self._send(
            QEvent.Type.MouseMove, self._on_canvas(point_world), Qt.MouseButton.NoButton, none
        )

    def drag(self, from_world, to_world) -> None:
        """Drag with the left button."""
        none, left = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton
        start, end = self._on_canvas(from_world), self._on_canvas(to_world)
        self._send(QEvent.Type.MouseMove, start, Qt.MouseButton.NoButton, none)
        self._send(QEvent.Type.MouseButtonPress, start, left, none)
        for share in np.linspace(0, 1, 5):
            self.qtbot.wait(DRAG_STEP_MS)
            at = start + (end - start) * float(share)
            self._send(QEvent.Type.MouseMove, at, left, none)
        self.qtbot.wait(DRAG_STEP_MS)
        self._send(QEvent.Type.MouseButtonRelease, end, left, none)

    def press(self, key: str, modifier=Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key over the canvas."""
        self.qtbot.keyClick(self.canvas.native, key, modifier)

    def _on_canvas(self, point_world) -> QPointF:
        y, x = (point_world[axis] for axis in self.viewer.dims.displayed)
        transform = self.canvas.view.transform * self.canvas.view.scene.transform
        return QPointF(*transform.map([x, y])[:2])

    def _send(self, kind, at: QPointF, button, modifiers) -> None:
        held = button if kind != QEvent.Type.MouseButtonRelease else Qt.MouseButton.NoButton
        pressed = button if kind != QEvent.Type.MouseMove else Qt.MouseButton.NoButton
        everywhere = self.canvas.native.mapToGlobal(at)
        event = QMouseEvent(kind, at, everywhere, pressed, held, modifiers)
        QApplication.sendEvent(self.canvas.native, event)


@pytest.fixture
def open_window(make_napari_viewer, qtbot) -> Callable[..., User]:
    """Open a real window on an image, with the widget docked and the model loaded."""

    def open_(data, **options) -> User:
        viewer = make_napari_viewer(show=True)
        viewer.window._qt_window.resize(1500, 950)
        if isinstance(data, Path):
            viewer.open(str(data))
        else:
            viewer.add_image(data, **options)
        user = User(viewer, qtbot)
        user.refit()
        user.ready()
        return user

    return open_


@pytest.fixture
def longest_gap(qtbot) -> Callable[[Callable[[], None]], float]:
    """Seconds the event loop stood still at the longest while something was done."""

    def measure(action: Callable[[], None]) -> float:
        ticks = [perf_counter()]
        timer = QTimer()
        timer.timeout.connect(lambda: ticks.append(perf_counter()))
        timer.start(5)
        action()
        timer.stop()
        return float(np.diff(ticks).max())

    return measure


@pytest.fixture
def most_work(qtbot) -> Callable[[Callable[[], None]], float]:
    """Processor seconds the window's thread took between two turns of its event loop, at most.

    Unlike seconds of the clock they are the same on a busy computer.
    """

    def measure(action: Callable[[], None]) -> float:
        turns = [thread_time()]
        timer = QTimer()
        timer.timeout.connect(lambda: turns.append(thread_time()))
        timer.start(5)
        action()
        timer.stop()
        return float(np.diff(turns).max())

    return measure
