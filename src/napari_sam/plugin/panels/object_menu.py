"""The menu of what can be done with whole objects."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu, QWidget

MENU = (  # name, as shown, submenu; filled in with the names of the objects
    ("delete here", "in this frame", "Delete {chosen}"),
    ("delete before here", "before here", "Delete {chosen}"),
    ("delete from here", "from here on", "Delete {chosen}"),
    ("delete everywhere", "everywhere", "Delete {chosen}"),
    ("merge here", "in this frame", "Merge {chosen}"),
    ("merge before here", "before here", "Merge {chosen}"),
    ("merge from here", "from here on", "Merge {chosen}"),
    ("merge everywhere", "everywhere", "Merge {chosen}"),
    ("trim first", "{chosen} begins in this frame  (8)", ""),
    ("trim last", "{chosen} ends in this frame  (9)", ""),
    ("zoom", "Zoom to {first}  ( / )", ""),
    ("split", "Split {first} into its parts", ""),
    ("swap", "Swap {chosen} from here on", ""),
    ("join", "{second} continues as {first} from here", ""),
    ("mother", "{first} divides …", ""),
    ("daughters", "Daughters of {mother}: {chosen}", ""),
    ("orphan", "Remove the parent of {first}", ""),
    ("link", "Link the labels of all frames into tracks", ""),
)


NOBODY = {"chosen": "the chosen", "first": "it", "second": "another one", "mother": "the mother"}


class ObjectMenu(QMenu):
    """Menu of operations on the selected objects; each entry names them."""

    picked = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.entries: dict[str, QAction] = {}
        self._submenus: dict[str, QMenu] = {}  # by their titles
        for name, text, above in MENU:
            action = QAction(text, self)
            action.triggered.connect(lambda _=False, name=name: self.picked.emit(name))
            self._menu_of(above).addAction(action)
            self.entries[name] = action
        self.name_objects(NOBODY)

    def _menu_of(self, title: str) -> QMenu:
        if not title:
            return self
        if title not in self._submenus:
            self._submenus[title] = QMenu(title, self)
            self.addMenu(self._submenus[title])
        return self._submenus[title]

    def allow(self, names: Collection[str]) -> None:
        """Enable these entries and no others."""
        for name, action in self.entries.items():
            action.setEnabled(name in names)
        for menu in self._submenus.values():
            menu.setEnabled(any(action.isEnabled() for action in menu.actions()))

    def name_objects(self, objects: Mapping[str, str]) -> None:
        """Fill in which objects are meant: those of :data:`NOBODY` that there are."""
        objects = {**NOBODY, **objects}
        for name, text, _ in MENU:
            self.entries[name].setText(_filled(text, objects))
        for title, menu in self._submenus.items():
            menu.setTitle(_filled(title, objects))


def _filled(text: str, objects: Mapping[str, str]) -> str:
    filled = text.format_map(objects)
    return filled[:1].upper() + filled[1:]
