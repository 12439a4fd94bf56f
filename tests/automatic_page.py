"""The page Automatic of a real window, as its user has it."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

LEFT = Qt.MouseButton.LeftButton


class Page:
    """The page Automatic, as its user has it."""

    def __init__(self, user) -> None:
        self.user, self.widget, self.qtbot = user, user.widget, user.qtbot
        self.panel, self.automatic = user.widget.everything, user.widget.automatic
        self.widget.pages.tabs.setCurrentIndex(self.widget.automatic_page)

    @property
    def bridge(self):
        return self.widget.bridge

    @property
    def said(self) -> str:
        return self.widget.status.text.text()

    @property
    def shown(self) -> np.ndarray:
        """What the layer of proposals shows, in the frame ``(H, W)``: it holds a part of it."""
        layer, image = self.bridge.proposals.layer, self.bridge.image
        frame = np.zeros(self.bridge.session.stack.frame_shape, np.uint8)
        if layer.visible:
            pixels = layer.data.reshape(layer.data.shape[-2:])
            place = (layer.translate - image.translate) / image.scale
            top, left = np.round(place[-2:]).astype(int)
            frame[top:, left:][: pixels.shape[0], : pixels.shape[1]] = pixels
        return frame

    def choose(self, name: str, value: object) -> None:
        control = self.panel.control(name)
        control.setCurrentIndex(control.findData(value))

    def set(self, name: str, value: float) -> None:
        self.panel.control(name).setValue(value)

    def press(self, button) -> None:
        """Click a button, and wait for what comes of it."""
        self.qtbot.mouseClick(button, LEFT)
        self.settle()

    def settle(self) -> None:
        """Wait until nothing is on its way; what a worker has just ended is delivered, too."""
        for _ in range(3):
            if self.bridge is not None:
                self.user.ready()
            self.qtbot.waitUntil(self._is_settled, timeout=60_000)
            QApplication.processEvents()

    def _is_settled(self) -> bool:
        waiting = self.widget.deferred.is_waiting
        return not self.automatic.is_busy and self.widget.worker.idle and not waiting

    def save(self) -> None:
        """Save by itself, and wait until all is saved."""
        session = self.bridge.session

        def is_saved() -> bool:
            self.widget.saving.tick()
            return session.saved is not None and session.saved.n_changes == session.n_changes

        self.qtbot.waitUntil(is_saved, timeout=60_000)

    def find(self) -> None:
        self.press(self.panel.run)
