"""The panel of exports. Widgets and layout, no logic."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_sam.formats.catalogue import FORMATS

from .controls import Choice, ShortText

HINT = "Write the objects for another program."
ALL, SOME = "all", "chosen"


class ExportPanel(QWidget):
    """Which objects, in which format, and where to."""

    export_chosen = Signal(str)  # where to
    surfaces_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.what = Choice("Which objects", ((ALL, "All objects"), (SOME, "Chosen in the list")))
        entries = ((each.name, each.title) for each in FORMATS.values())
        self.format = Choice(
            "The format. What it cannot hold is said before it is written", entries
        )
        self.run = QPushButton("Export …")
        self.run.setToolTip("Choose a file or folder, and write it")
        self.run.clicked.connect(self._ask_where)
        self.show_folder = QPushButton("Show in folder")
        self.show_folder.setToolTip("Open the folder that was written to")
        self.show_folder.clicked.connect(self._open_folder)
        self.show_folder.setEnabled(False)
        self.surfaces = QPushButton("Surfaces in a layer")
        self.surfaces.setToolTip("Show the objects of this volume as a layer of surfaces")
        self.surfaces.clicked.connect(self.surfaces_clicked)
        self.surfaces.hide()  # until there is a volume
        self.text = ShortText(2, HINT)
        self.suggested = "objects"
        self._written: Path | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for pair in ((self.what, self.format), (self.run, self.show_folder)):
            row = QHBoxLayout()
            for widget in pair:
                row.addWidget(widget, stretch=1)
            layout.addLayout(row)
        layout.addWidget(self.surfaces)
        layout.addWidget(self.text)

    def show_written(self, path: Path, lost: str) -> None:
        """Something was written."""
        self._written = path
        self.show_folder.setEnabled(True)
        self.text.say(f"{path.name} is written. {lost}".strip())

    def _ask_where(self) -> None:
        chosen = FORMATS[self.format.currentData()]
        ending = chosen.suffixes[0] if chosen.suffixes else ""
        start = f"{self.suggested}{ending}"
        name, _ = QFileDialog.getSaveFileName(self, f"Export as {chosen.title}", start)
        if name:
            self.export_chosen.emit(name)

    def _open_folder(self) -> None:
        if self._written is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._written.parent)))
