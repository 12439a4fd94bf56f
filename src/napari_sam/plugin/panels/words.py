"""The panel of what is looked for by words. Widgets and layout, no logic."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from .controls import Choice, ShortText
from .dock import bring_into_view

FOLDER = "folder"  # the entry that opens a dialog
ROOM_BELOW = 120  # pixels, for how many were found, the lowest score and the button


class WordsPanel(QWidget):
    """Which detector looks for what, and where."""

    detector_chosen = Signal()
    fetch_clicked = Signal()
    look_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.detector = Choice("What finds objects by words. None of them was made for microscopy")
        self.detector.activated.connect(self._on_detector)
        self.words = QLineEdit()
        self.words.setPlaceholderText("nucleus, dividing cell")
        self.words.setToolTip(
            "What to look for, in a word or a few. Between commas: several, each of which becomes "
            "a class"
        )
        self.words.returnPressed.connect(self.look_clicked)
        self.where = Choice("Where to look", [("frame", "this frame"), ("stack", "all frames")])
        self.about = ShortText(2)
        self.fetch = QPushButton()
        self.fetch.clicked.connect(self.fetch_clicked)
        self.look = QPushButton("Find")
        self.look.setToolTip("Look for them. Nothing is segmented yet")
        self.look.clicked.connect(self.look_clicked)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Detector", self.detector)
        form.addRow(self.about)
        form.addRow(self.fetch)
        form.addRow("Look for", self.words)
        row = QHBoxLayout()
        row.addWidget(self.where, stretch=1)
        row.addWidget(self.look)
        form.addRow("In", row)

    def show_detectors(self, entries: Sequence[tuple[str, str]], chosen: str) -> None:
        """List detectors: what names each, and how it is shown."""
        with QSignalBlocker(self.detector):
            self.detector.clear()
            for name, text in entries:
                self.detector.addItem(text, name)
            self.detector.addItem("A folder …", FOLDER)
            self.detector.setCurrentIndex(max(0, self.detector.findData(chosen)))

    def show_detector(self, about: str, to_fetch: str) -> None:
        """What the chosen one is, and what fetching it takes; "": it is here."""
        self.about.say(about)
        self.fetch.setText(to_fetch)
        self.fetch.setVisible(bool(to_fetch))
        self.look.setEnabled(not to_fetch)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 Qt's name
        """Scroll to the rows: they appear at the end of a page."""
        super().showEvent(event)
        bring_into_view(self, ROOM_BELOW)

    def phrases(self) -> list[str]:
        """What is to be looked for."""
        return [each.strip() for each in self.words.text().split(",") if each.strip()]

    def _on_detector(self) -> None:
        if self.detector.currentData() == FOLDER:
            folder = QFileDialog.getExistingDirectory(self, "A detector's folder")
            at = 0 if not folder else self.detector.findData(folder)
            if at < 0:
                at = self.detector.count() - 1
                self.detector.insertItem(at, folder.replace("\\", "/").rpartition("/")[2], folder)
            self.detector.setCurrentIndex(at)
        self.detector_chosen.emit()
