"""The menu of what can be done with whole objects."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu, QWidget

from napari_sam.engine import REVIEW_STATES

MENU = (  # name, as shown, submenu; filled in with the names of the objects
    ("delete here", "in this frame", "Delete {chosen}"),
    ("delete before here", "before here", "Delete {chosen}"),
    ("delete from here", "from here on", "Delete {chosen}"),
    ("delete everywhere", "everywhere", "Delete {chosen}"),
    ("merge here", "in this frame", "Merge {chosen}"),
    ("merge before here", "before here", "Merge {chosen}"),
    ("merge from here", "from here on", "Merge {chosen}"),
    ("merge everywhere", "everywhere", "Merge {chosen}"),
    ("trim first", "Let {chosen} begin in this frame  (8)", ""),
    ("trim last", "Let {chosen} end in this frame  (9)", ""),
    ("zoom", "Zoom to {first}  ( / )", ""),
    ("hide", "Hide {chosen}", ""),
    ("show", "Show all objects", ""),
    ("split", "Split {first} into its parts", ""),
    ("swap", "Swap {chosen} from here on", ""),
    ("join", "{second} continues as {first} from here", ""),
    ("mother", "{first} divides …", ""),
    ("daughters", "Daughters of {mother}: {chosen}", ""),
    ("orphan", "Remove the parent of {first}", ""),
    ("link", "Link the labels of all frames into tracks", ""),
)

CLASS_OF, REVIEW_OF = "Class of {chosen}", "Review of {chosen}"
REVIEW_KEY = "Ctrl+0"  # goes through the states

NOBODY = {"chosen": "the chosen", "first": "it", "second": "another one", "mother": "the mother"}


class ObjectMenu(QMenu):
    """Menu of operations on the selected objects; each entry names them."""

    picked = Signal(str)
    class_picked = Signal(object)  # its name, or None
    review_picked = Signal(object)  # a review state, or None
    note_clicked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.entries: dict[str, QAction] = {}
        self._submenus: dict[str, QMenu] = {}  # by their titles
        for name, text, above in MENU:
            action = QAction(text, self)
            action.triggered.connect(lambda _=False, name=name: self.picked.emit(name))
            self._menu_of(above).addAction(action)
            self.entries[name] = action
        self._classes = QMenu(CLASS_OF, self)
        self._classes.setEnabled(False)
        self._offered: list[tuple[str, int | None]] = []
        self.insertMenu(self.entries["trim first"], self._classes)
        self._reviews = self._review_menu()
        self.insertMenu(self.entries["trim first"], self._reviews)
        self.name_objects(NOBODY)

    def _review_menu(self) -> QMenu:
        menu = QMenu(REVIEW_OF, self)
        for text, state in (*((s.capitalize(), s) for s in REVIEW_STATES), ("Not reviewed", None)):
            key = f"\t{REVIEW_KEY}" if state == "approved" else ""
            action = QAction(f"{text}{key}", menu)
            action.triggered.connect(lambda _=False, state=state: self.review_picked.emit(state))
            menu.addAction(action)
        menu.addSeparator()
        note = QAction("Note …", menu)
        note.triggered.connect(lambda _=False: self.note_clicked.emit())
        menu.addAction(note)
        return menu

    def _menu_of(self, title: str) -> QMenu:
        if not title:
            return self
        if title not in self._submenus:
            self._submenus[title] = QMenu(title, self)
            self.addMenu(self._submenus[title])
        return self._submenus[title]

    def offer_classes(self, classes: Sequence[tuple[str, int | None]]) -> None:
        """Offer to give the objects one of these: names and keys."""
        if list(classes) == self._offered:
            return
        self._offered = list(classes)
        self._classes.clear()
        self._classes.setEnabled(bool(classes))
        for name, key in classes:
            text = name.replace("&", "&&") + (f"\tCtrl+{key}" if key else "")
            self._add_class(text, name)
        self._add_class("No class", None)

    def _add_class(self, text: str, name: str | None) -> None:
        action = QAction(text, self._classes)
        action.triggered.connect(lambda _=False: self.class_picked.emit(name))
        self._classes.addAction(action)

    def allow(self, names: Collection[str]) -> None:
        """Enable these entries and no others."""
        for name, action in self.entries.items():
            action.setEnabled(name in names)
        for menu in self._submenus.values():
            menu.setEnabled(any(action.isEnabled() for action in menu.actions()))

    @property
    def _titled(self) -> dict[str, QMenu]:
        return {**self._submenus, CLASS_OF: self._classes, REVIEW_OF: self._reviews}

    def name_objects(self, objects: Mapping[str, str]) -> None:
        """Fill in which objects are meant: those of :data:`NOBODY` that there are."""
        objects = {**NOBODY, **objects}
        for name, text, _ in MENU:
            self.entries[name].setText(_filled(text, objects))
        for title, menu in self._titled.items():
            menu.setTitle(_filled(title, objects))


def _filled(text: str, objects: Mapping[str, str]) -> str:
    filled = text.format_map(objects)
    return filled[:1].upper() + filled[1:]
