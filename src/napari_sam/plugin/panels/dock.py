"""How the panels are laid out in the dock."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QLineEdit,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

LEAST_WIDTH = 300
LEAST_HEIGHT = 160  # of what scrolls
LAID_OUT_MS = 20
BORDERS = 2  # pixels above and below it, in napari's style


def lay_out(
    dock: QWidget,
    always: list[QWidget],
    pages: QWidget,
    status: QWidget,
    objects: QWidget,
    last: QWidget,
) -> None:
    """Arrange panels below each other.

    Parameters
    ----------
    dock
        What they are laid out in.
    always
        As high on every page.
    pages
        Scroll with them where the window is low.
    status
        Below what scrolls, in sight at any time.
    objects
        Take the rest of the height, in sight at any time.
    last
        At the bottom, in sight at any time.
    """
    for panel in (*always, status):
        panel.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
    scroll = TallScrollArea(_column(*always, pages))
    outer = QVBoxLayout(dock)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.setSpacing(0)
    outer.addWidget(scroll)
    outer.addWidget(_column(status, objects), stretch=1)
    outer.addWidget(_column(last))
    dock.setMinimumWidth(LEAST_WIDTH)


class TallScrollArea(QScrollArea):
    """As high as what is in it, if there is room."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setWidget(content)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.setMinimumHeight(LEAST_HEIGHT)

    def sizeHint(self) -> QSize:  # noqa: N802 Qt's name
        """Qt's own ends at 24 lines."""
        content = self.widget()
        hint = super().sizeHint()
        if content is None:
            return hint
        height = max(content.sizeHint().height(), content.minimumSizeHint().height())
        return QSize(hint.width(), height + BORDERS)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Another page has another height."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)


def bring_into_view(widget: QWidget, room_below: int = 0) -> None:
    """Scroll as far as is needed to see a widget, and some pixels below it, on the page shown.

    It is done a moment later: what has just been shown has no place yet.
    """
    timer = QTimer(widget)  # ends with it
    timer.setSingleShot(True)
    timer.timeout.connect(partial(_scroll_to, widget, room_below))
    timer.timeout.connect(timer.deleteLater)
    timer.start(LAID_OUT_MS)


def _scroll_to(widget: QWidget, room_below: int) -> None:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QScrollArea):
        parent = parent.parentWidget()
    if isinstance(parent, QScrollArea) and widget.isVisible():
        parent.ensureWidgetVisible(widget, 0, room_below)


def leave_keys_to(canvas: QWidget, dock: QWidget) -> None:
    """A click in the dock gives the keys to the canvas, except where a number is typed."""
    for control in dock.findChildren(QWidget):
        if control.focusPolicy() & Qt.FocusPolicy.ClickFocus:
            control.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    for box in dock.findChildren(QAbstractSpinBox):
        box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    for line in dock.findChildren(QLineEdit):
        line.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        line.returnPressed.connect(dock.setFocus)
    dock.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
    dock.setFocusProxy(canvas)


def _column(*panels: QWidget) -> QWidget:
    column = QWidget()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(6, 6, 6, 6)
    layout.setSpacing(8)
    for panel in panels:
        layout.addWidget(panel)
    return column
