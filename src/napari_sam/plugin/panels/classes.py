"""The page Classes. Widgets and layout, no logic."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction, QColor
from qtpy.QtWidgets import (
    QCheckBox,
    QColorDialog,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam.session import CLASS_KEYS, Classes, ObjectClass

from .controls import ShortText
from .table import LEAST_HEIGHT, Table

HINT = (
    "Type a name and press Add. Ctrl+1 to 9 gives the selected objects a class; with a few "
    "objects of each, the rest can be proposed."
)


class ClassPanel(QWidget):
    """The classes that there are, and what can be done with them."""

    added = Signal(str)
    given = Signal(object)  # a class's name, or None: to the selected objects
    changed = Signal(str, str, object)  # which class, what of it, and as what
    removed = Signal(str)
    members_clicked = Signal(str)  # select the objects of a class
    propose_clicked = Signal()
    coloured = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._classes = Classes()
        self._listed: list[ObjectClass] = []  # as the rows of the table
        self.name = QLineEdit()
        self.name.setPlaceholderText("Name of a class")
        self.name.setToolTip("A new class, or a new name for the one selected below")
        self.name.returnPressed.connect(self._on_add)
        self.add = QPushButton("Add")
        self.add.setToolTip("Make a class of this name")
        self.add.clicked.connect(self._on_add)
        self.table = Table("Key", "Class", "Yours", "Proposed", coloured=1)
        self.table.setToolTip(
            "Each class, the number of objects you gave it to, and the number it is proposed for. "
            "Double-click a class to select its objects"
        )
        self.table.give_room_to(1)
        self.table.setMinimumHeight(LEAST_HEIGHT)
        self.table.liked_height = LEAST_HEIGHT + 24
        self.table.settled.connect(self._show_possible)
        self.table.doubleClicked.connect(lambda _: self._on_members())
        self.give = QPushButton("Give")
        self.give.clicked.connect(self._on_give)
        self.none = QPushButton("No class")
        self.none.setToolTip("Take the class of the selected objects away")
        self.none.clicked.connect(partial(self.given.emit, None))
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.edit = QPushButton("Edit  ")
        self.edit.setToolTip("Rename, colour, key, parent, remove the class selected above")
        self.edit.setMenu(self.menu)
        self.propose = QPushButton("Propose the rest")
        self.propose.setToolTip(
            "Propose a class for every other object, learned from the objects you gave a class. "
            "The least certain come first on the page Review. Each correction improves the rest"
        )
        self.propose.clicked.connect(self.propose_clicked)
        self.colour = QCheckBox("Colour by class")
        self.colour.setToolTip("Show the labels in the colours of their classes; grey: no class")
        self.colour.toggled.connect(self.coloured)
        self.text = ShortText(2, HINT)
        self._lay_out()
        self.show_classes(Classes())

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        rows: tuple[tuple[QWidget, ...], ...] = (
            (self.name, self.add),
            (self.table,),
            (self.give, self.none, self.edit),
            (self.propose, self.colour),
            (self.text,),
        )
        for widgets in rows:
            row = QHBoxLayout()
            row.setSpacing(4)
            for widget in widgets:
                row.addWidget(widget, 0 if widget is self.add else 1)
            layout.addLayout(row)

    @property
    def chosen(self) -> ObjectClass | None:
        """The class that is selected in the table."""
        rows = [row for row in self.table.chosen_rows() if row < len(self._listed)]
        return self._listed[rows[0]] if rows else None

    def show_classes(self, classes: Classes) -> None:
        """List the classes, kinds of a class below it."""
        chosen = self.chosen
        self._classes, self._listed = classes, list(_in_order(classes, ""))
        counts = classes.counts()
        self.table.fill(
            [
                (
                    "" if each.key is None else str(each.key),
                    "↳ " * _depth(classes, each) + each.name,
                    *map(str, counts[each.name]),
                )
                for each in self._listed
            ],
            tips=[_tip(each) for each in self._listed],
            colours=[each.colour for each in self._listed],
        )
        names = [each.name for each in self._listed]
        if chosen is not None and chosen.name in names:
            self.table.selectRow(names.index(chosen.name))
        self._show_possible()

    def choose(self, name: str) -> None:
        """Select a class in the table."""
        self.table.selectRow([each.name for each in self._listed].index(name))
        self._show_possible()

    def _show_possible(self) -> None:
        chosen = self.chosen
        for button in (self.give, self.edit):
            button.setEnabled(chosen is not None)
        for button in (self.none, self.propose):
            button.setEnabled(bool(self._listed))
        key = "" if chosen is None or chosen.key is None else f". Keys: Ctrl+{chosen.key}"
        self.give.setToolTip(
            f"Give the selected objects the class “{chosen.name}”{key}"
            if chosen
            else "Select a class above, to give it to the selected objects"
        )

    def _on_add(self) -> None:
        self.added.emit(self.name.text())

    def _on_give(self) -> None:
        if self.chosen is not None:
            self.given.emit(self.chosen.name)

    def _on_members(self) -> None:
        if self.chosen is not None:
            self.members_clicked.emit(self.chosen.name)

    def _fill_menu(self) -> None:
        """What can be done with the class that is selected."""
        self.menu.clear()
        chosen = self.chosen
        if chosen is None:
            return
        typed = self.name.text().strip()
        rename = self._entry(self.menu, f"Rename to “{typed}”" if typed else "Rename")
        rename.setEnabled(bool(typed))
        rename.setToolTip("Type the new name above first")
        rename.triggered.connect(lambda: self.changed.emit(chosen.name, "name", typed))
        self._entry(self.menu, "Colour …").triggered.connect(lambda: self._ask_colour(chosen))
        keys = QMenu("Key", self.menu)
        for key in (*CLASS_KEYS, None):
            entry = self._entry(keys, f"Ctrl+{key}" if key else "None", key == chosen.key)
            entry.triggered.connect(partial(self._change, chosen, "key", key))
        kinds = QMenu("Kind of", self.menu)
        for name in (*(each.name for each in self._listed if each is not chosen), ""):
            entry = self._entry(kinds, _shown(name) or "None", name == chosen.parent)
            entry.triggered.connect(partial(self._change, chosen, "parent", name))
        self.menu.addMenu(keys)
        self.menu.addMenu(kinds)
        self._entry(self.menu, "Select its objects").triggered.connect(self._on_members)
        remove = self._entry(self.menu, f"Remove “{_shown(chosen.name)}”")
        remove.triggered.connect(lambda: self.removed.emit(chosen.name))

    def _entry(self, menu: QMenu, text: str, is_on: bool | None = None) -> QAction:
        action = QAction(text, menu)
        action.setCheckable(is_on is not None)
        action.setChecked(bool(is_on))
        menu.addAction(action)
        return action

    def _change(self, chosen: ObjectClass, what: str, value: object, _: bool = False) -> None:
        self.changed.emit(chosen.name, what, value)

    def _ask_colour(self, chosen: ObjectClass) -> None:
        colour = QColorDialog.getColor(QColor(chosen.colour), self, f"Colour of “{chosen.name}”")
        if colour.isValid():
            self.changed.emit(chosen.name, "colour", colour.name())


def _in_order(classes: Classes, parent: str) -> list[ObjectClass]:
    """The kinds of a class, each followed by its own."""
    return [
        each
        for kind in classes.defined
        if kind.parent == parent
        for each in (kind, *_in_order(classes, kind.name))
    ]


def _depth(classes: Classes, kind: ObjectClass) -> int:
    return 0 if not kind.parent else 1 + _depth(classes, classes.named(kind.parent))


def _tip(each: ObjectClass) -> str:
    key = f"Ctrl+{each.key} gives it to the selected objects" if each.key else "It has no key"
    return f"{each.name}{f', a kind of {each.parent}' if each.parent else ''}. {key}"


def _shown(name: str) -> str:
    """A name in a menu, where & would mark a letter."""
    return name.replace("&", "&&")
