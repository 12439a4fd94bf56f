"""The panel of prompts from anywhere. Widgets and layout, no logic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QFileDialog, QFormLayout, QPushButton, QVBoxLayout, QWidget

from napari_sam.engine import PromptChoice
from napari_sam.stacks import RefineRules

from .controls import Choice, ShortText
from .forms import Form
from .words import WordsPanel

HINT = (
    "Points, shapes or labels of another layer, or a file of another program, prompt many objects "
    "at once. Files can be dropped here."
)
NOTHING, FILE, WORDS, REFINE = "", "file", "words", "refine"
KINDS = (
    "Tables, GeoJSON, COCO, ROIs of ImageJ, spots of TrackMate, labels (*.csv *.tsv *.geojson "
    "*.json *.zip *.roi *.xml *.npy *.tif *.tiff *.png)"
)


class PromptPanel(QWidget):
    """Where prompts come from, what is made of them, how many there are, and a button."""

    layer_chosen = Signal(str)  # its name; "": none
    file_chosen = Signal(str)
    changed = Signal()
    run_clicked = Signal()
    words_chosen = Signal()
    refine_chosen = Signal()
    refine_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.source = Choice("A layer or a file: what is in it prompts objects")
        self.source.activated.connect(self._on_source)
        self.form = Form(PromptChoice)
        self.form.changed.connect(self.changed)
        self.rules = Form(RefineRules)
        self.rules.hide()
        self.words = WordsPanel()
        self.words.hide()
        self.text = ShortText(3, HINT)
        self.run = QPushButton()
        self.run.setToolTip(
            "Segment one object for each prompt; one undo removes them all. Annotated objects keep "
            "their pixels while “Protect neighbours” is on"
        )
        self.run.clicked.connect(self._on_run)
        rows = QFormLayout()
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.addRow("Prompts of", self.source)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(rows)
        for widget in (self.words, self.form, self.rules, self.run, self.text):
            layout.addWidget(widget)
        self.setAcceptDrops(True)
        self.show_layers([])

    def show_layers(self, names: Sequence[str]) -> None:
        """List the layers there are; the one chosen stays, or nothing is."""
        before = self.source.currentData()
        self.source.clear()
        self.source.addItem("—", NOTHING)
        for name in names:
            self.source.addItem(name, f"layer {name}")
        self.source.addItem("A file …", FILE)
        self.source.addItem("Words …", WORDS)
        self.source.addItem("These labels, refined", REFINE)
        at = self.source.findData(before) if before not in (None, FILE) else -1
        self.source.setCurrentIndex(max(0, at))
        if at < 0 and before not in (None, FILE):
            self.layer_chosen.emit("")

    def choose_layer(self, name: str) -> None:
        """Make one of the layers listed the source."""
        self.source.setCurrentIndex(self.source.findData(f"layer {name}"))
        self._on_source()

    def show_file(self, path: Path) -> None:
        """A file is the source."""
        self.rules.hide()
        self.words.hide()
        at = self.source.findData(FILE)
        self.source.setItemText(at, path.name)
        self.source.setCurrentIndex(at)

    def show_found(self, text: str, n: int, *, shapes: bool = False, scores: bool = False) -> None:
        """How many objects would be segmented, and which choices there are."""
        self.text.say(text or HINT)
        self.run.setText(f"Segment {n} object{'' if n == 1 else 's'}" if n else "Segment")
        self.run.setEnabled(n > 0)
        self.form.show_row("shape", shapes)
        self.form.show_row("min_score", scores)

    def show_refining(self, text: str) -> None:
        """The labels themselves are the source: what happens to them, or did."""
        if self.source.currentData() == REFINE:
            self.text.say(text)
            self.run.setText("Refine the labels")
            self.run.setEnabled(True)

    def show_min_score(self, score: float) -> None:
        """Fill in the lowest score."""
        with QSignalBlocker(self.form):
            self.form.control("min_score").setValue(score)

    def choice(self) -> PromptChoice:
        """What the rows say."""
        chosen: PromptChoice = self.form.value()
        return chosen

    def _on_source(self) -> None:
        source = self.source.currentData()
        self.rules.setVisible(source == REFINE)
        self.words.setVisible(source == WORDS)
        if source == WORDS:
            self.layer_chosen.emit("")
            self.words_chosen.emit()
            return
        if source == REFINE:
            self.layer_chosen.emit("")
            self.refine_chosen.emit()
            return
        if source != FILE:
            self.layer_chosen.emit(source.removeprefix("layer "))
            return
        name, _ = QFileDialog.getOpenFileName(self, "Prompts of another program", "", KINDS)
        if name:
            self.file_chosen.emit(name)
        else:
            self.source.setCurrentIndex(0)
            self.layer_chosen.emit("")

    def _on_run(self) -> None:
        (self.refine_clicked if self.source.currentData() == REFINE else self.run_clicked).emit()

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:  # noqa: N802 Qt's name
        """Whether what is dragged over the panel is a file."""
        data = None if event is None else event.mimeData()
        if event is not None and data is not None and data.hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:  # noqa: N802 Qt's name
        """Take the first file that is dropped."""
        data = None if event is None else event.mimeData()
        paths = [] if data is None else [url.toLocalFile() for url in data.urls()]
        if event is not None and paths and paths[0]:
            event.acceptProposedAction()
            self.file_chosen.emit(paths[0])
