"""Pages under tabs. Widgets and layout, no logic."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QTabBar, QVBoxLayout, QWidget

from .controls import rule

NARROW = "QTabBar::tab { padding-left: 1px; padding-right: 1px; font-size: 10px; }"
NARROWEST = "QTabBar::tab { padding-left: 0px; padding-right: 0px; margin: 0px; font-size: 9px; }"


class Pages(QWidget):
    """Pages under tabs. Only the one shown takes room, so that a short one stays short."""

    def __init__(self) -> None:
        super().__init__()
        self.tabs = QTabBar()
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setUsesScrollButtons(False)
        self.tabs.setMinimumWidth(1)  # else no title could ever be cut
        self.tabs.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # keys are passed on to the image
        self.tabs.currentChanged.connect(self._show_page)
        self._pages: list[QWidget] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self.tabs)

    def add_page(self, title: str, *panels: QWidget) -> int:
        """Add a page with panels below each other; returns its position."""
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        for n, panel in enumerate(panels):
            if n:
                layout.addWidget(rule())
            layout.addWidget(panel)
        self._pages.append(page)
        self._layout.addWidget(page)
        at = self.tabs.addTab(title)
        self._show_page(self.tabs.currentIndex())
        return at

    def rename(self, page: int, title: str) -> None:
        """Give a page another title."""
        self.tabs.setTabText(page, title)
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 Qt's name
        """Write the titles smaller where there is no room for all of them, or cut them."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        modes = Qt.TextElideMode
        self.tabs.setElideMode(modes.ElideNone)
        for style in ("", NARROW, NARROWEST):
            self.tabs.setStyleSheet(style)
            if self.tabs.sizeHint().width() <= self.width():
                return
        self.tabs.setElideMode(modes.ElideRight)

    def allow(self, page: int, why_not: str) -> None:
        """Whether a page can be gone to: a reason forbids it."""
        self.tabs.setTabEnabled(page, not why_not)
        self.tabs.setTabToolTip(page, why_not)

    def _show_page(self, shown: int) -> None:
        for at, page in enumerate(self._pages):
            page.setVisible(at == shown)
