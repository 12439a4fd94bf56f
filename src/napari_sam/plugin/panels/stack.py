"""What the dock widget shows of many frames: propagate and review. Widgets and layout, no logic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam.engine import about
from napari_sam.stacks import PropagationOptions

from .controls import LEAST_HEIGHT, ShortText, Table
from .forms import Form

REVIEW_HINT = "What was propagated and is least to be trusted, worst first."


@dataclass(frozen=True)
class PageOptions(PropagationOptions):
    """What the page says: which objects are propagated, and where to."""

    which: Literal["active", "chosen", "all"] = field(
        default="active",
        metadata=about(
            "Propagate",
            "Choose several in the list of objects below with Ctrl+click.",
            choices={
                "active": "This object",
                "chosen": "The chosen objects",
                "all": "All objects of this frame",
            },
        ),
    )


class StackPanel(QWidget):
    """Which objects to propagate to other frames, which way and how far; tracks."""

    propagate_clicked = Signal()
    tracks_toggled = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.form = Form(PageOptions, ("which", "direction", "n_frames", "axis", "through"))
        self.which, self.direction = self.form.control("which"), self.form.control("direction")
        self.reach, self.axis = self.form.control("n_frames"), self.form.control("axis")
        self.through = self.form.control("through")
        self.axis.currentIndexChanged.connect(self._show_through)
        self.through.activated.connect(self._on_through_chosen)
        self._through: dict[int, str] = {}  # of each axis, as far as it is known
        self.follow = QCheckBox("Follow")
        self.follow.setToolTip("Show each frame as soon as it is done")
        self.button = QPushButton("Propagate  ( . )")
        self.button.setToolTip(
            "Propagate the objects from the frame shown to the next ones. Key: full stop"
        )
        self.button.clicked.connect(self.propagate_clicked)
        self.outcome = ShortText(2)
        self.tracks = QCheckBox("Tracks")
        self.tracks.setToolTip("A Tracks layer of where the objects were, and of their divisions")
        self.tracks.toggled.connect(self.tracks_toggled)
        self._lay_out()

    def _lay_out(self) -> None:
        go = QHBoxLayout()
        go.addWidget(self.button, stretch=1)
        go.addWidget(self.follow)
        go.addWidget(self.tracks)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.form)
        layout.addLayout(go)
        layout.addWidget(self.outcome)
        self.show_axes([], 0, {})

    def _show_through(self) -> None:
        known = self._through.get(self.axis.currentData(), "time")
        self.through.setCurrentIndex(self.through.findData(known))

    def _on_through_chosen(self) -> None:
        self._through[self.axis.currentData()] = self.through.currentData()

    def options(self) -> PageOptions:
        """All that the page says."""
        options: PageOptions = self.form.value()
        return options

    def chosen_axis(self) -> int | None:
        """The axis to go along; ``None`` if there is no choice."""
        axis: int | None = self.axis.currentData()
        return axis if self.axis.count() > 1 else None

    def chosen_through(self, axis: int) -> str | None:
        """Whether an axis is time or depth, as far as it is known."""
        return self._through.get(axis)

    def show_axes(
        self, axes: Sequence[tuple[int, str]], longest: int, through: Mapping[int, str]
    ) -> None:
        """The axes there are to go along, the most frames of any of them, and what they are."""
        self._through = dict(through)
        self.form.offer("axis", ((name, axis) for axis, name in axes))
        self.form.show_row("axis", len(axes) > 1)
        self._show_through()
        self.reach.setMaximum(max(0, longest - 1))
        self.show_outcome("")

    def show_outcome(self, text: str) -> None:
        """What the last run came to."""
        self.outcome.say(text)


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
        self.next.setToolTip("Go to the next one: its frame is shown, it is the object in hand")
        self.next.clicked.connect(self.next_clicked)
        self.right = QPushButton("Looks right  (0)")
        self.right.setToolTip("Keep it as if you had drawn it, and go to the next one")
        self.right.clicked.connect(self.right_clicked)
        self.propagate = QPushButton("Propagate")
        self.propagate.setToolTip("Propagate the object you corrected to its next annotated frame")
        self.propagate.clicked.connect(self.propagate_clicked)
        self.by_itself = QCheckBox("after each correction")
        self.by_itself.setToolTip(
            "Propagate a correction by itself: with the next entry (U), the next object (N), or "
            "after a pause"
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
        self.table.fill(rows)
        for row, tip in enumerate(tips):
            for column in range(self.table.columnCount()):
                item = self.table.item(row, column)
                if item is not None:
                    item.setToolTip(tip)
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
