"""The panel of objects. Widgets and layout, no logic."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from qtpy.QtCore import QItemSelectionModel, QPoint, Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_sam.engine import REVIEW_STATES, Review
from napari_sam.session import Classes, ObjectSummary

from .candidates import CandidatePanel
from .controls import Choice
from .object_menu import ObjectMenu
from .table import LEAST_HEIGHT, Table

COLUMN_TIPS = (
    "Its number: the value of its pixels in the labels. Click to sort",
    "Its frame, or the number of its frames. Click to sort",
    "Its score, from 0 to 1: how sure the model is, in the frame where it is least sure. "
    "Click to sort",
    "The number of its prompts: clicks, boxes and other drawings. Click to sort",
    "Its class, and how probable that is where it was proposed. Click to sort: what is least "
    "probable comes first",
    "Its review state: ✓ approved, ? unclear, … to check. Ctrl+0 changes it. Click to sort",
)
PROMPTS, CLASS, REVIEW = 3, 4, 5  # columns
MARKS = {"approved": "✓", "unclear": "?", "to check": "…"}
REVIEW_ORDER = ("to check", "unclear", None, "approved")
ALL, NOT_REVIEWED = "all", "not reviewed"  # of the filter
SORT_KEYS: tuple[Callable[[ObjectSummary, Classes, Mapping[int, Review]], Any], ...] = (
    lambda each, *_: each.object_id,
    lambda each, *_: (len(each.frames), [i or 0 for i in each.frames[0]], each.object_id),
    lambda each, *_: (2.0 if each.score is None else each.score, each.object_id),
    lambda each, *_: (each.n_prompts, each.object_id),
    lambda each, classes, _: (*_class_key(classes, each.object_id), each.object_id),
    lambda each, _, reviews: (
        REVIEW_ORDER.index(_state_of(each.object_id, reviews)),
        each.object_id,
    ),
)


class ObjectPanel(QWidget):
    """The current object, its candidates, and the list of all objects, to select one or several."""

    next_clicked = Signal()
    object_clicked = Signal(int)  # to be selected and shown
    object_taken = Signal(int)  # to be selected, in the frame shown
    zoom_clicked = Signal()  # zoom to the current object
    note_typed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.swatch = QLabel()
        self.swatch.setFixedSize(14, 14)
        self.title = QLabel()
        self.title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.next = QPushButton("Next object (N)")
        self.next.setToolTip(
            "Begin a new object. Its number is one more than the highest in the whole stack"
        )
        self.next.clicked.connect(self.next_clicked)
        self.menu = ObjectMenu(self)
        self.more = QPushButton("Edit  ")
        self.more.setToolTip("Delete, merge, split, swap, join, divide, link whole objects")
        self.more.setMenu(self.menu)
        self.candidates = CandidatePanel()
        self.table = Table(
            *("Object", "Frame", "Score", "Prompts", "Class", "Review"),
            several=True,
            coloured=CLASS,
        )
        self.table.setColumnHidden(CLASS, True)
        self.table.setColumnHidden(REVIEW, True)
        self.filter = Choice("Which objects are listed, by their review state")
        self.filter.hide()
        self.filter.activated.connect(lambda _: self._show())
        self._objects: Sequence[ObjectSummary] = ()
        self._classes = Classes()
        self._reviews: Mapping[int, Review] = {}
        self._ids: list[int] = []
        self._active = 0
        self._shown_row: tuple[int, int] | None = None  # the active object, and where it stood
        self.table.setToolTip(
            "Click an object to get its prompts back and continue with it. Ctrl+click "
            "selects several, double click zooms, Del deletes, right click opens a menu"
        )
        self.table.setMinimumHeight(LEAST_HEIGHT)
        self.table.let_sort(*COLUMN_TIPS)
        self.table.resorted.connect(self._on_resorted)
        self.table.doubleClicked.connect(lambda _: self.zoom_clicked.emit())
        self.table.settled.connect(self._on_settled)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._show_menu)
        head = QHBoxLayout()
        head.addWidget(self.swatch)
        head.addWidget(self.title, stretch=1)
        head.addWidget(self.more)
        head.addWidget(self.next)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(head)
        layout.addWidget(self.candidates)
        layout.addWidget(self.filter)
        layout.addWidget(self.table, stretch=1)

    def show_active(self, object_id: int, colour: Sequence[float] | None) -> None:
        """Name the current object, in its colour (RGBA, 0 to 1)."""
        self.title.setText(f"<b>Object {object_id}</b>")
        rgb = "transparent"
        if colour is not None:
            rgb = "rgb({}, {}, {})".format(*(round(255 * float(c)) for c in colour[:3]))
        self.swatch.setStyleSheet(f"background: {rgb}; border-radius: 3px;")

    def show_none(self) -> None:
        """There is no image, so there are no objects."""
        self.title.clear()
        self.swatch.setStyleSheet("")
        self.candidates.show_candidates([], [], 0)
        self.show_objects([], 0)

    def show_objects(
        self,
        objects: Sequence[ObjectSummary],
        active: int,
        classes: Classes | None = None,
        reviews: Mapping[int, Review] | None = None,
    ) -> None:
        """List the objects and mark the active one; others chosen beside it stay chosen."""
        self._objects, self._active = objects, active
        self._classes = Classes() if classes is None else classes
        self._reviews = reviews or {}
        self._show_filter()
        self._show()

    def _show(self) -> None:
        chosen, active = self.chosen(), self._active
        classes, reviews = self._classes, self._reviews
        key = SORT_KEYS[self.table.sorted_by]
        listed = sorted(
            (each for each in self._objects if self._is_listed(each.object_id)),
            key=lambda each: key(each, classes, reviews),
            reverse=self.table.is_falling,
        )
        self._ids = [summary.object_id for summary in listed]
        self._show_columns()
        colours = {each.name: each.colour for each in classes.defined}
        given = [classes.of(object_id) for object_id in self._ids]
        self.table.fill(
            [_cells(summary, classes, reviews) for summary in listed],
            tips=[_tip(object_id, classes, reviews) for object_id in self._ids],
            colours=[None if each is None else colours[each.name] for each in given],
        )
        self._highlight(chosen if active in chosen else [active])
        row = self._ids.index(active) if active in self._ids else None
        if row is None or self._shown_row != (active, row):
            self.table.reveal(row)
        self._shown_row = None if row is None else (active, row)

    def _show_columns(self) -> None:
        """Those of classes and reviews once there are some; 300 pixels are narrow."""
        shown = {CLASS: bool(self._classes.defined), REVIEW: bool(self._reviews)}
        if all(self.table.isColumnHidden(column) != there for column, there in shown.items()):
            return
        for column, there in shown.items():
            self.table.setColumnHidden(column, not there)
        self.table.setColumnHidden(PROMPTS, any(shown.values()))
        self.table.give_room_to(CLASS if shown[CLASS] else None)

    def _show_filter(self) -> None:
        """What can be listed, with how many objects; nothing without a review state."""
        self.filter.setVisible(bool(self._reviews))
        chosen = self.filter.currentData() if self._reviews else ALL
        states = [_state_of(each.object_id, self._reviews) for each in self._objects]
        entries = [(ALL, "All objects", len(states))]
        entries += [(state, state.capitalize(), states.count(state)) for state in REVIEW_STATES]
        entries.append((NOT_REVIEWED, "Not reviewed", states.count(None)))
        self.filter.clear()
        for name, text, n in entries:
            self.filter.addItem(f"{text} ({n})", name)
        self.filter.setCurrentIndex(max(0, self.filter.findData(chosen)))

    def _is_listed(self, object_id: int) -> bool:
        wanted = self.filter.currentData()
        state = _state_of(object_id, self._reviews) or NOT_REVIEWED
        return bool(wanted in (ALL, state))

    def _on_resorted(self) -> None:
        self._show()

    def ask_note(self, names: str, note: str) -> None:
        """Ask for a note on objects, beginning with the one that there is."""
        title = f"Note on {names}"
        text, is_given = QInputDialog.getMultiLineText(self, title, title, note)
        if is_given:
            self.note_typed.emit(text)

    def chosen(self) -> list[int]:
        """The objects chosen in the list, by id; the active one is among them if it is listed."""
        return sorted(self._ids[row] for row in self.table.chosen_rows() if row < len(self._ids))

    def choose(self, object_ids: Collection[int]) -> None:
        """Choose objects of the list, and no others."""
        self._highlight(object_ids)
        self._take_chosen()

    def choose_also(self, object_id: int) -> None:
        """Choose one more, or let go of it."""
        self.choose(set(self.chosen()) ^ {object_id})

    def _highlight(self, object_ids: Collection[int]) -> None:
        model, selection = self.table.model(), self.table.selectionModel()
        same = set(self.chosen()) == set(object_ids) & set(self._ids)
        if model is None or selection is None or same:
            return
        selection.clearSelection()
        flag = QItemSelectionModel.SelectionFlag
        for row, object_id in enumerate(self._ids):
            if object_id in object_ids:
                selection.select(model.index(row, 0), flag.Select | flag.Rows)

    def _on_settled(self) -> None:
        chosen = self.chosen()
        if len(chosen) == 1:
            (self._active,) = chosen
            self.object_clicked.emit(self._active)
        else:
            self._take_chosen()

    def _take_chosen(self) -> None:
        """Operations apply to the highlighted objects: the current object is always one of them."""
        chosen = self.chosen()
        if not chosen:
            self._highlight([self._active])
        elif self._active not in chosen:
            self._active = chosen[0]
            self.object_taken.emit(self._active)

    def _show_menu(self, at: QPoint) -> None:
        self._take_chosen()
        viewport = self.table.viewport()
        if viewport is not None:
            self.menu.popup(viewport.mapToGlobal(at))


def _class_key(classes: Classes, object_id: int) -> tuple[bool, float]:
    """What was proposed by its probability, then what the user said, then objects of no class."""
    given = classes.of(object_id)
    return given is None, 2.0 if given is None or given.probability is None else given.probability


def _state_of(object_id: int, reviews: Mapping[int, Review]) -> str | None:
    review = reviews.get(object_id)
    return None if review is None else review.state


def _tip(object_id: int, classes: Classes, reviews: Mapping[int, Review]) -> str:
    """Class and review of an object in full."""
    given, review = classes.of(object_id), reviews.get(object_id)
    return "\n".join(each.text for each in (given, review) if each is not None)


def _cells(
    summary: ObjectSummary, classes: Classes, reviews: Mapping[int, Review]
) -> tuple[str, ...]:
    frames = [", ".join(str(i) for i in frame if i is not None) or "–" for frame in summary.frames]
    frame_text = frames[0] if len(frames) == 1 else f"{len(frames)} frames"
    score = "–" if summary.score is None else f"{summary.score:.2f}"
    given = classes.of(summary.object_id)
    name = "" if given is None else given.text
    mark = MARKS.get(_state_of(summary.object_id, reviews) or "", "")
    return str(summary.object_id), frame_text, score, str(summary.n_prompts), name, mark
