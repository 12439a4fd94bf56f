"""A table of whole rows to choose, of which only those in sight cost anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QResizeEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

LEAST_HEIGHT = 84  # pixels of a table: its head and two rows
SWATCH = 10  # pixels of a colour
TITLE_MARGINS = 24  # pixels at both sides of a title

Role = Qt.ItemDataRole


class Table(QTableView):
    """Whole rows to choose, one or several of them.

    Parameters
    ----------
    titles
        Of the columns.
    several
        Whether more than one row can be chosen.
    coloured
        The column that shows the colour of a row beside its text.
    """

    settled = Signal()  # the user has chosen, with the mouse or with keys
    resorted = Signal()  # by another column, or the other way round
    deleted = Signal()  # its key was pressed

    def __init__(self, *titles: str, several: bool = False, coloured: int = 0) -> None:
        super().__init__()
        self.sorted_by, self.is_falling = 0, False  # column and direction
        self.liked_height = 0  # pixels
        self._revealed: int | None = None  # the row to be kept in sight
        self._rows = _Rows(titles, coloured)
        self._rows.setParent(self)
        self.setModel(self._rows)
        self.setIconSize(QSize(SWATCH, SWATCH))
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        mode = QAbstractItemView.SelectionMode
        self.setSelectionMode(mode.ExtendedSelection if several else mode.SingleSelection)
        header, numbers = self.horizontalHeader(), self.verticalHeader()
        if header is not None and numbers is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
            numbers.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
            numbers.hide()

    def sizeHint(self) -> QSize:  # noqa: N802 Qt's name
        """As high as it likes to be; by default it takes what others leave over."""
        return QSize(super().sizeHint().width(), max(self.liked_height, self.minimumHeight()))

    def give_room_to(self, column: int | None) -> None:
        """Let one column have the width that the other titles do not need; ``None``: all alike."""
        header, mode = self.horizontalHeader(), QHeaderView.ResizeMode
        if header is None:
            return
        for n in range(self._rows.columnCount()):
            is_narrow = column is not None and n != column
            header.setSectionResizeMode(n, mode.Fixed if is_narrow else mode.Stretch)
            title = self._rows.headerData(n, Qt.Orientation.Horizontal)
            header.resizeSection(n, self.fontMetrics().horizontalAdvance(title) + TITLE_MARGINS)

    def reveal(self, row: int | None) -> None:
        """Bring a row into sight, now and whenever the height changes."""
        self._revealed = row
        if row is not None and row < len(self._rows.texts):
            self.executeDelayedItemsLayout()  # rows that were added just now have no place yet
            self.updateGeometries()
            self.scrollTo(self._rows.index(row, 0))

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 Qt's name
        """Keep the visible part in view."""
        super().resizeEvent(event)
        self.reveal(self._revealed)

    def let_sort(self, *tips: str) -> None:
        """A click on a title sorts by its column; each title explains itself."""
        header = self.horizontalHeader()
        if header is None:
            return
        self._rows.title_tips = tips
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(self.sorted_by, Qt.SortOrder.AscendingOrder)
        header.sectionClicked.connect(self._sort_by)

    def _sort_by(self, column: int) -> None:
        self.is_falling = column == self.sorted_by and not self.is_falling
        self.sorted_by = column
        order = Qt.SortOrder.DescendingOrder if self.is_falling else Qt.SortOrder.AscendingOrder
        header = self.horizontalHeader()
        if header is not None:
            header.setSortIndicator(column, order)
        self.resorted.emit()

    def fill(
        self,
        rows: Sequence[Sequence[str]],
        tips: Sequence[str] = (),
        colours: Sequence[str | None] = (),
    ) -> None:
        """Bring it in line with some rows; most are as they were.

        Parameters
        ----------
        tips
            The tool tip of each row, if there are any.
        colours
            Of each row ``#rrggbb``, if it has one.
        """
        self._rows.show([tuple(texts) for texts in rows], tips, colours)

    def texts(self, column: int = 0) -> list[str]:
        """What a column shows, from top to bottom."""
        return [row[column] for row in self._rows.texts]

    def chosen_rows(self) -> list[int]:
        """The rows that are highlighted, from top to bottom."""
        selection = self.selectionModel()
        return sorted(index.row() for index in selection.selectedRows()) if selection else []

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 Qt's name
        """Chosen on release: until then the rows stay where they are."""
        super().mouseReleaseEvent(event)
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self.settled.emit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 Qt's name
        """Arrows choose as the mouse does."""
        if event is not None and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.deleted.emit()
            return
        before = self.chosen_rows()
        super().keyPressEvent(event)
        if self.chosen_rows() != before:
            self.settled.emit()


class _Rows(QAbstractTableModel):
    """The texts of a table, which asks for those in sight."""

    def __init__(self, titles: Sequence[str], coloured: int) -> None:
        super().__init__()
        self.texts: list[tuple[str, ...]] = []
        self.title_tips: Sequence[str] = ()
        self._titles, self._coloured = titles, coloured
        self._tips: Sequence[str] = ()
        self._colours: Sequence[str | None] = ()

    def show(
        self, texts: list[tuple[str, ...]], tips: Sequence[str], colours: Sequence[str | None]
    ) -> None:
        """Show other rows; the table keeps which of them are highlighted, by position."""
        before, n = len(self.texts), len(texts)
        is_same = texts == self.texts and tips == self._tips and colours == self._colours
        if n > before:
            self.beginInsertRows(QModelIndex(), before, n - 1)
        elif n < before:
            self.beginRemoveRows(QModelIndex(), n, before - 1)
        self.texts, self._tips, self._colours = texts, tips, colours
        if n > before:
            self.endInsertRows()
        elif n < before:
            self.endRemoveRows()
        if n and not is_same:
            self.dataChanged.emit(self.index(0, 0), self.index(n - 1, len(self._titles) - 1))

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 Qt's name
        """How many rows there are."""
        return 0 if parent is not None and parent.isValid() else len(self.texts)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 Qt's name
        """How many columns there are."""
        return 0 if parent is not None and parent.isValid() else len(self._titles)

    def data(self, index: QModelIndex, role: int = Role.DisplayRole) -> Any:
        """What a cell is, in some respect."""
        row, column = index.row(), index.column()
        if role == Role.DisplayRole:
            return self.texts[row][column]
        if role == Role.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignCenter
        if role == Role.ToolTipRole and self._tips:
            return self._tips[row] or None  # then that of the table
        if role == Role.DecorationRole and column == self._coloured and self._colours:
            colour = self._colours[row]
            return None if colour is None else QColor(colour)
        return None

    def headerData(  # noqa: N802 Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole
    ) -> Any:
        """What a title is, in some respect."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Role.DisplayRole:
            return self._titles[section]
        if role == Role.ToolTipRole and self.title_tips:
            return self.title_tips[section]
        return None
