"""What the dock widget shows of automatic segmentation. Widgets and layout, no logic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_sam.engine import AlikeOptions, AutomaticOptions, Axis, GridRules, SamError, about

from .controls import ShortText
from .dock import bring_into_view
from .forms import Form

LIKENESS = ("min_likeness",)
WHAT = ("what", "method", "points_per_side", "where", "axis", "first_frame", "last_frame")
FILTERS = (
    "min_score",
    "min_stability",
    "min_area",
    "max_area",
    "min_roundness",
    "min_intensity",
    "max_intensity",
    "overlap",
    "border",
    "replaces",
)
OUTCOME_LINES = 3
FIND, FIND_ALIKE = "Find objects", "Find alike"
FOLDED, UNFOLDED = "Filters  ▸", "Filters  ▾"


@dataclass(frozen=True)
class PageOptions(AutomaticOptions):
    """What the page says: where objects are looked for, and which of them stand."""

    what: Literal["everything", "alike"] = field(
        default="everything",
        metadata=about(
            "Find",
            "Every object, or those like the objects selected in the list below: one to three "
            "examples are enough.",
            choices={"everything": "everything", "alike": "more like the selected"},
        ),
    )
    min_likeness: float = field(
        default=AlikeOptions.min_likeness,
        metadata=dict(AlikeOptions.__dataclass_fields__["min_likeness"].metadata),
    )
    points_per_side: int = field(
        default=GridRules.points_per_side,
        metadata=dict(GridRules.__dataclass_fields__["points_per_side"].metadata),
    )
    where: Literal["frame", "area", "stack"] = field(
        default="frame",
        metadata=about(
            "Where",
            "In the frame shown, in a box or polygon that you draw in it, or in every frame of the "
            "stack.",
            choices={"frame": "This frame", "area": "In the box drawn", "stack": "The stack"},
        ),
    )
    axis: Axis | None = field(
        default=None,
        metadata=about("Along", "The axis along which the frames are searched.", least=0),
    )
    first_frame: int | None = field(
        default=None,
        metadata=about("From", "The first frame to search.", least=0, unset="the first frame"),
    )
    last_frame: int | None = field(
        default=None,
        metadata=about("To", "The last frame to search.", least=0, unset="the last frame"),
    )
    replaces: bool = field(
        default=False,
        metadata=about(
            "Replace unconfirmed objects",
            "New objects replace those found before, unless you corrected or confirmed them. What "
            "you annotated is always kept.",
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        first, last = self.first_frame, self.last_frame
        if first is not None and last is not None and first > last:
            raise SamError(
                f"There is no frame from {first} to {last}. Give a last frame of {first} or more."
            )

    @property
    def automatic(self) -> AutomaticOptions:
        """The same for the engine, which looks in one frame."""
        said = {each.name: getattr(self, each.name) for each in fields(AutomaticOptions)}
        return AutomaticOptions(**said | {"grid": GridRules(self.points_per_side)})

    @property
    def alike(self) -> AlikeOptions:
        """The same to find what is like the examples."""
        said = {name: getattr(self, name) for name in (*FILTERS, *LIKENESS, "within", "cell_size")}
        del said["replaces"]
        return AlikeOptions(**said)

    @property
    def wanted(self) -> AutomaticOptions:
        """Of both what is to be found."""
        return self.alike if self.what == "alike" else self.automatic


class AutomaticPanel(QWidget):
    """From top to bottom: where to look, what was found and becomes of it, and which stand."""

    draw_clicked = Signal()
    run_clicked = Signal()
    filtered = Signal()  # a filter says something else
    compared = Signal(bool)  # the image is to be seen without what was found
    all_accepted = Signal()
    chosen_accepted = Signal()
    chosen_removed = Signal()  # they are not like the examples
    discarded = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.form, self.filters = Form(PageOptions, WHAT), Form(PageOptions, FILTERS)
        self.likeness = Form(PageOptions, LIKENESS)
        self.form.edited.connect(self._on_edited)
        for form in (self.filters, self.likeness):
            form.edited.connect(self.filtered)
        self.filters.setVisible(False)  # else a low window has no room for the buttons
        self.unfold = _button(FOLDED, "Which proposals are coloured, and can be accepted")
        self.unfold.setCheckable(True)
        self.unfold.toggled.connect(self._on_unfolded)
        self.draw = _button(
            "Draw a box", "Drag a box over the image: to search in it, or to select objects"
        )
        self.draw.clicked.connect(self.draw_clicked)
        self.run = _button(
            FIND, "Find all objects, or more like these. Nothing is written until you accept them"
        )
        self.run.clicked.connect(self.run_clicked)
        self.outcome = ShortText(OUTCOME_LINES)
        self.before = _button("Before  ( , )", "Show the image without the proposals. Key: comma")
        self.before.setCheckable(True)
        self.before.toggled.connect(self.compared)
        self.discard = _button("Discard", "Remove the proposals; annotated objects are kept")
        self.discard.clicked.connect(self.discarded)
        self.accept_all = _button(
            "Accept all", "Write all objects that pass the filters: one step of undo"
        )
        self.accept_all.clicked.connect(self.all_accepted)
        self.accept_chosen = _button(
            "Accept selected",
            "Write the objects that you selected by Shift+click or by drawing a box",
        )
        self.accept_chosen.clicked.connect(self.chosen_accepted)
        self.remove_chosen = _button(
            "Not these",
            "Remove the proposals that you selected, and all that are more like them than like "
            "your examples",
        )
        self.remove_chosen.clicked.connect(self.chosen_removed)
        self.link = QCheckBox("Link them from frame to frame")
        self.link.setToolTip(
            "Accepted objects get one number in all frames: tracks in time, bodies in depth"
        )
        self._axes: Sequence[tuple[int, str, int]] = ()
        self._lay_out()
        self.show_axes(())
        self.allow_decisions(False)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.form)
        layout.addLayout(_beside(self.draw, self.run))
        layout.addLayout(_beside(self.likeness, self.remove_chosen))
        layout.addLayout(_beside(self.accept_all, self.accept_chosen))
        layout.addLayout(_beside(self.unfold, self.before, self.discard))
        layout.addWidget(self.outcome)
        layout.addWidget(self.link)
        layout.addWidget(self.filters)

    def control(self, name: str) -> Any:
        """The control of an option."""
        form = {**dict.fromkeys(FILTERS, self.filters), "min_likeness": self.likeness}
        return form.get(name, self.form).control(name)

    def options(self) -> PageOptions:
        """All that the page says.

        Raises
        ------
        SamError
            If it contradicts itself.
        """
        what, filters = self.form.value(), self.filters.value()
        said = {name: getattr(filters, name) for name in FILTERS}
        said["min_likeness"] = self.likeness.value().min_likeness
        options: PageOptions = replace(what, **said)
        return options

    def show_axes(self, axes: Sequence[tuple[int, str, int]]) -> None:
        """The axes of the stack: number, name and length of each that has several frames."""
        self._axes = axes
        self.form.offer("axis", ((name, axis) for axis, name, _ in axes))
        where = self.form.control("where")
        model, at = where.model(), where.findData("stack")
        model.item(at).setEnabled(bool(axes))
        if not axes and where.currentIndex() == at:
            where.setCurrentIndex(0)
        longest = max((length for *_, length in axes), default=1)
        for name in ("first_frame", "last_frame"):
            self.form.control(name).setMaximum(longest - 1)
        self._show_rows()

    def search_in_area(self) -> None:
        """Let the next search look in the box drawn."""
        control = self.control("where")
        control.setCurrentIndex(control.findData("area"))

    def chosen_axis(self) -> int | None:
        """The axis to go along."""
        axis: int | None = self.form.control("axis").currentData()
        return axis

    def show_thresholds(self, min_score: float, min_stability: float) -> None:
        """Let the rows say what holds where they said nothing, so that it can be moved."""
        with QSignalBlocker(self.filters):
            for name, value in (("min_score", min_score), ("min_stability", min_stability)):
                control = self.control(name)
                if control.value() == control.minimum():
                    control.setValue(value)

    def _on_edited(self, name: str) -> None:
        if name in ("what", "method"):  # another one has thresholds of its own
            with QSignalBlocker(self.filters):
                for row in ("min_score", "min_stability"):
                    self.control(row).setValue(self.control(row).minimum())
        self._show_rows()

    def _on_unfolded(self, on: bool) -> None:
        self.filters.setVisible(on)
        self.unfold.setText(UNFOLDED if on else FOLDED)

    def show_outcome(self, text: str) -> None:
        """What was found; the first word of it comes into view in a low window."""
        is_first = bool(text) and not self.outcome.text()
        self.outcome.say(text)
        if is_first:
            bring_into_view(self.outcome)

    def allow_decisions(self, some: bool) -> None:
        """Whether there is anything to accept or to discard."""
        decisions = (self.accept_all, self.accept_chosen, self.remove_chosen)
        for button in (self.before, self.discard, *decisions):
            button.setEnabled(some)
        if not some:
            self.before.setChecked(False)

    def name_chosen(self, n: int) -> None:
        """How many were chosen."""
        self.accept_chosen.setText(f"Accept selected ({n})" if n else "Accept selected")

    def _show_rows(self) -> None:
        alike = self.form.control("what").currentData() == "alike"
        by_grid = not alike and self.form.control("method").currentData() == "grid"
        in_stack = self.form.control("where").currentData() == "stack"
        self.form.show_row("method", not alike)
        self.form.show_row("points_per_side", by_grid)
        self.likeness.setVisible(alike)
        self.remove_chosen.setVisible(alike)
        self.run.setText(FIND_ALIKE if alike else FIND)
        self.form.show_row("axis", in_stack and len(self._axes) > 1)
        for name in ("first_frame", "last_frame"):
            self.form.show_row(name, in_stack)
        self.link.setVisible(in_stack)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button


def _beside(*buttons: QWidget) -> QHBoxLayout:
    layout = QHBoxLayout()
    layout.setSpacing(4)
    for button in buttons:
        layout.addWidget(button, 1)
    return layout
