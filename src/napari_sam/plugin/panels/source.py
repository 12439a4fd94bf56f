"""The panel of image, labels and model. Widgets and layout, no logic."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QPushButton, QWidget

from .controls import Choice, Number, ShortText
from .network_input import InputButton

LARGEST_CELL = 9999  # pixels


class SourcePanel(QWidget):
    """Which image, which labels, which model."""

    fetch_clicked = Signal()
    open_clicked = Signal()
    folder_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.image = Choice("The image layer to annotate")
        self.folder = QPushButton("Folder …")
        self.folder.setToolTip("Annotate the images of a folder one after the other")
        self.folder.clicked.connect(self._ask_for_folder)
        self.series = Choice(
            "This file holds several images. napari opens only the first.\n"
            "Choose another one to add it as a new layer"
        )
        self.input = InputButton()
        self.labels = Choice(
            "The layer that gets the masks: new labels, or labels to continue with"
        )
        self.model = Choice("The network. 'embedded' works at once and offline")
        self.about = ShortText(2)
        self.open = QPushButton("File …")
        self.open.setToolTip("Use a checkpoint of your own: .pth, .pt or .safetensors")
        self.open.clicked.connect(self.open_clicked)
        self.fetch = QPushButton()
        self.fetch.clicked.connect(self.fetch_clicked)
        self.fetch.hide()
        self.cell_size = Number(
            "Diameter of your cells, in pixels of the image. It decides between candidates, "
            "and the scale at which the embedded model looks.\n"
            "0, automatic: the size of the cells you segmented last",
            " px across",
        )
        self.cell_size.setRange(0, LARGEST_CELL)
        self.show_cell_size(None)
        form = self._form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        images = QHBoxLayout()
        images.addWidget(self.image, stretch=1)
        images.addWidget(self.folder)
        form.addRow("Image", images)
        form.addRow("Series", self.series)
        form.addRow("Labels", self.labels)
        form.addRow("Input", self.input)
        models = QHBoxLayout()
        models.addWidget(self.model, stretch=1)
        models.addWidget(self.open)
        form.addRow("Model", models)
        form.addRow(self.about)
        form.addRow(self.fetch)
        form.addRow("Cell size", self.cell_size)
        self.show_series([], 0)

    def _ask_for_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Annotate the images of a folder")
        if folder:
            self.folder_chosen.emit(folder)

    def show_series(self, names: Sequence[str], chosen: int) -> None:
        """List the images of a file, if there are several, and which one is shown.

        The row takes a line of the text about the model, so that all pages fit a low window.
        """
        self.series.clear()
        for number, name in enumerate(names):
            self.series.addItem(f"{number}: {name}", number)
        self.series.setCurrentIndex(chosen)
        self._form.setRowVisible(self.series, len(names) > 1)
        self.about.take_lines(1 if len(names) > 1 else 2)

    def show_cell_size(self, diameter: float | None) -> None:
        """Tell what the automatic cell size is, as far as it is known."""
        known = "" if diameter is None else f" ({diameter:.0f} px)"
        self.cell_size.setSpecialValueText(f"automatic{known}")
