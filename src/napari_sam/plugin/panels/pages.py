"""Pages under tabs. Widgets and layout, no logic."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QTabBar, QVBoxLayout, QWidget

from .controls import rule

# All pages can be reached in a dock of 300 pixels: there the titles are cut, not hidden
NARROW = "QTabBar::tab { padding-left: 2px; padding-right: 2px; font-size: 11px; }"


class Pages(QWidget):
    """Pages under tabs. Only the one shown takes room, so that a short one stays short."""

    def __init__(self) -> None:
        super().__init__()
        self.tabs = QTabBar()
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setStyleSheet(NARROW)
        self.tabs.setUsesScrollButtons(False)
        self.tabs.setElideMode(Qt.TextElideMode.ElideRight)
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

    def allow(self, page: int, why_not: str) -> None:
        """Whether a page can be gone to: a reason forbids it."""
        self.tabs.setTabEnabled(page, not why_not)
        self.tabs.setTabToolTip(page, why_not)

    def _show_page(self, shown: int) -> None:
        for at, page in enumerate(self._pages):
            page.setVisible(at == shown)
