"""The status panel: current work and errors. Widgets and layout, no logic."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from .controls import ShortText, keep_place, show_progress, thin_bar


class StatusPanel(QWidget):
    """Current work, its progress, and Cancel."""

    cancel_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.text = ShortText(2)
        self.bar = thin_bar()
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(self.cancel_clicked)
        keep_place(self.cancel)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.text, stretch=1)
        row.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.bar)
        self.show_idle("")

    def show_idle(self, text: str) -> None:
        """Nothing is going on."""
        self.text.say(text)
        self.bar.hide()
        self.cancel.hide()

    def show_busy(self, text: str, done: int = 0, total: int = 0) -> None:
        """Something is going on; a total of 0 means that nobody knows how long."""
        self.text.say(text)
        show_progress(self.bar, done, total)
        self.bar.show()
        self.cancel.show()

    def show_fetching(self, name: str, done: int, total: int) -> None:
        """How many bytes of a download are here."""
        said = f"Fetching {name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB"
        self.show_busy(said, done // 2**10, total // 2**10)
