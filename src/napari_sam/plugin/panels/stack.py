"""The panel of propagation to other frames. Widgets and layout, no logic."""

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

from .controls import ShortText
from .forms import Form


@dataclass(frozen=True)
class PageOptions(PropagationOptions):
    """Options of the page: which objects are propagated, and where to."""

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


UNKNOWN_THROUGH = "time or depth?"


class StackPanel(QWidget):
    """Which objects to propagate to other frames, which way and how far; tracks."""

    propagate_clicked = Signal()
    tracks_toggled = Signal(bool)
    through_chosen = Signal(int, str)  # axis, and whether that is time or depth

    def __init__(self) -> None:
        super().__init__()
        self.form = Form(PageOptions, ("which", "direction", "n_frames", "axis", "through"))
        self.which, self.direction = self.form.control("which"), self.form.control("direction")
        self.reach, self.axis = self.form.control("n_frames"), self.form.control("axis")
        self.through = self.form.control("through")
        self.through.setPlaceholderText(UNKNOWN_THROUGH)
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
        self.tracks.setToolTip(
            "Show the paths of the objects and their divisions in a Tracks layer"
        )
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
        known = self._through.get(self.axis.currentData())
        self.through.setCurrentIndex(-1 if known is None else self.through.findData(known))

    def _on_through_chosen(self) -> None:
        axis, through = self.axis.currentData(), self.through.currentData()
        self._through[axis] = through
        self.through_chosen.emit(axis, through)

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
        """Show the result of the last run."""
        self.outcome.say(text)
        self.outcome.setVisible(bool(text))  # else the page scrolls in a low window
