"""How the panels are laid out in the dock."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QLineEdit,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

LEAST_WIDTH = 300


def lay_out(
    dock: QWidget, always: list[QWidget], pages: QWidget, objects: QWidget, last: QWidget
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
    objects
        Take the rest of the height, in sight at any time.
    last
        At the bottom, in sight at any time.
    """
    for panel in always:
        panel.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setWidget(_column(*always, pages))
    scroll.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
    scroll.setFrameShape(QScrollArea.Shape.NoFrame)
    outer = QVBoxLayout(dock)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.setSpacing(0)
    outer.addWidget(scroll, stretch=2)
    outer.addWidget(_column(objects), stretch=1)
    outer.addWidget(_column(last))
    dock.setMinimumWidth(LEAST_WIDTH)


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
