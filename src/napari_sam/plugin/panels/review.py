"""The panel of low-confidence objects. Widgets and layout, no logic."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from .controls import ShortText
from .table import LEAST_HEIGHT, Table

REVIEW_HINT = "Objects of low confidence, first those most worth a correction."


class ReviewPanel(QWidget):
    """The list of what to look at first, and what can be said of it."""

    next_clicked = Signal()
    right_clicked = Signal()
    propagate_clicked = Signal()
    row_clicked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._marked: int | None = None  # the row being looked at
        self.text = ShortText(2, REVIEW_HINT)
        self.table = Table("Object", "Frame", "Score")
        self.table.setMinimumHeight(LEAST_HEIGHT)
        self.table.liked_height = 2 * LEAST_HEIGHT
        self.table.settled.connect(self._on_settled)
        self.next = QPushButton("Next  (U)")
        self.next.setToolTip("Go to the next low-confidence frame, and select its object")
        self.next.clicked.connect(self.next_clicked)
        self.right = QPushButton("Looks right  (0)")
        self.right.setToolTip("Confirm this mask, and go to the next one")
        self.right.clicked.connect(self.right_clicked)
        self.propagate = QPushButton("Propagate")
        self.propagate.setToolTip("Propagate the object you corrected to its next annotated frame")
        self.propagate.clicked.connect(self.propagate_clicked)
        self.by_itself = QCheckBox("after each correction")
        self.by_itself.setToolTip(
            "Propagate each correction automatically: when you go to the next entry (U) or "
            "object (N), or after a pause"
        )
        self.by_itself.setChecked(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.text)
        layout.addWidget(self.table)
        for pair in ((self.next, self.right), (self.propagate, self.by_itself)):
            row = QHBoxLayout()
            for widget in pair:
                row.addWidget(widget, stretch=1)
            layout.addLayout(row)

    def show_rows(self, rows: Sequence[tuple[str, str, str]], tips: Sequence[str]) -> None:
        """List what is to be looked at: object, frame, score."""
        self.table.fill(rows, tips)
        for button in (self.next, self.right):
            button.setEnabled(bool(rows))

    def mark(self, row: int | None, text: str) -> None:
        """Mark the row being looked at, and say what is the matter with it."""
        self._marked = row
        self.text.say(text or REVIEW_HINT)
        if row is None:
            self.table.clearSelection()
        else:
            self.table.selectRow(row)

    def _on_settled(self) -> None:
        row = next(iter(self.table.chosen_rows()), self._marked)
        if row is not None:
            self.row_clicked.emit(row)
