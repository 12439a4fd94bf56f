"""The panel of the saved session. Widgets and layout, no logic."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from .controls import ShortText, paragraph


class SessionPanel(QWidget):
    """Where the session is saved and since when; another place, or another session."""

    save_chosen = Signal(str)
    open_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.text = ShortText(1, cut=Qt.TextElideMode.ElideMiddle)
        self.warning = paragraph()
        self.warning.setStyleSheet("font-weight: bold;")
        self.warning.hide()
        self.save = QPushButton("Save as …")
        self.save.setToolTip("Save the session in another place, and continue there")
        self.save.clicked.connect(self._ask_where_to_save)
        self.open = QPushButton("Open …")
        self.open.setToolTip("Open a saved session. You can also drop it into the window")
        self.open.clicked.connect(self._ask_what_to_open)
        self._place = ""
        row = QHBoxLayout()
        row.addWidget(self.text, stretch=1)
        row.addWidget(self.save)
        row.addWidget(self.open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.warning)
        layout.addLayout(row)

    def show_place(self, text: str, place: str = "") -> None:
        """Show what was saved and when; the tool tip is the whole path."""
        self.warning.hide()
        self.text.say(text, place)
        self._place = place

    def show_problem(self, text: str, problem: str) -> None:
        """Nothing is saved: a warning that is never cut, with what is wrong as a tool tip."""
        self.text.say("")
        self.warning.setText(text)
        self.warning.setToolTip(problem)
        self.warning.show()

    def _ask_where_to_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save the session as", self._place)
        if name:
            self.save_chosen.emit(name)

    def _ask_what_to_open(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Open a session: IMAGE.napari-sam")
        if folder:
            self.open_chosen.emit(folder)
