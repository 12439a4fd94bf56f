"""What the dock widget shows of recipes. Widgets and layout, no logic."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton, QVBoxLayout, QWidget

from .controls import ShortText

LINES = 3
HINT = "The same for all images of this folder: save it as a recipe, and run that."
RUN, STOP = "Run on this folder", "Stop"


class RecipePanel(QWidget):
    """Save what the page says as a recipe, and run it on the folder of the image."""

    save_chosen = Signal(str)  # the file
    run_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.suggested = Path("recipe.yaml")
        self.save = QPushButton("Save as recipe …")
        self.save.setToolTip(
            "Write model, channel, method and filters into a file, for all images of the folder of "
            "this one: run it with `napari-sam batch`"
        )
        self.save.clicked.connect(self._choose)
        self.run = QPushButton(RUN)
        self.run.setToolTip(
            "Run the saved recipe on all images of this folder, in a separate process"
        )
        self.run.setEnabled(False)
        self.run.clicked.connect(self.run_clicked)
        self.text = ShortText(LINES, HINT)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.save)
        layout.addWidget(self.run)
        layout.addWidget(self.text)

    def show_running(self, running: bool) -> None:
        """Whether the recipe runs."""
        self.run.setText(STOP if running else RUN)
        self.save.setEnabled(not running)

    def _choose(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save as recipe", str(self.suggested), "Recipes (*.yaml)"
        )
        if path:
            self.save_chosen.emit(path)
