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
        """What the layer of proposals shows."""
        layer = self.bridge.proposals.layer
        return layer.data if layer.visible else np.zeros_like(layer.data)

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
