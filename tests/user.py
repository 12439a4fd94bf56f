"""A user at a real window: canvas clicks and drags, and keys."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

DRAG_STEP_MS = 10  # napari drops moves that come faster than every 5 ms


class User:
    """One user, one viewer, one dock widget opened as from the menu."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        _, self.widget = viewer.window.add_plugin_dock_widget("napari-sam-annotator")
        self.canvas = viewer.window._qt_viewer.canvas

    @property
    def is_ready(self) -> bool:
        """Whether everything asked for has landed."""
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
        QTest.qWait(50)
        self.viewer.reset_view()
        QTest.qWait(50)

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
            QTest.qWait(DRAG_STEP_MS)
            at = start + (end - start) * float(share)
            self._send(QEvent.Type.MouseMove, at, left, none)
        QTest.qWait(DRAG_STEP_MS)
        self._send(QEvent.Type.MouseButtonRelease, end, left, none)

    def press(self, key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key over the canvas."""
        QTest.keyClick(self.canvas.native, key, modifier)

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
