"""The panel of measurements. Widgets and layout, no logic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_sam.measurements.options import MeasureOptions

from .controls import Choice, ShortText
from .dock import bring_into_view
from .forms import Form

if TYPE_CHECKING:
    from .plot import Plot

HINT = "Measure all objects: size, shape, place, intensity. Then drag around points to choose them."
TABLES = "Tables (*.csv *.xlsx *.parquet)"
PICTURES = "Pictures (*.png *.svg)"
COUNT = ""  # the second axis of a histogram


class MeasurePanel(QWidget):
    """What is measured, and a plot of it."""

    measure_clicked = Signal()
    axes_chosen = Signal()
    table_chosen = Signal(str)  # where it is to be saved
    plot_chosen = Signal(str)
    rows_chosen = Signal(object)  # of the table, (N,): by drawing in the plot

    def __init__(self) -> None:
        super().__init__()
        self.form = Form(MeasureOptions, ("each", "background"))
        self.run = QPushButton("Measure")
        self.run.setToolTip("Measure the objects of all frames, as they are now")
        self.run.clicked.connect(self.measure_clicked)
        self.text = ShortText(2, HINT)
        self.across = Choice("Horizontal axis of the plot")
        self.up = Choice("Vertical axis of the plot; objects: their number, as a histogram")
        for choice in (self.across, self.up):
            choice.currentIndexChanged.connect(self.axes_chosen)
        self.plot: Plot | None = None  # made when there is something to show
        self.save_table = QPushButton("Save table …")
        self.save_table.setToolTip("Save all columns as CSV, Excel or Parquet")
        self.save_table.clicked.connect(self._ask_for_table)
        self.save_plot = QPushButton("Save plot …")
        self.save_plot.setToolTip("Save the plot as PNG or SVG")
        self.save_plot.clicked.connect(self._ask_for_plot)
        self.results = QWidget()
        self._layout = QVBoxLayout(self.results)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        for pair in ((self.across, self.up), (self.save_table, self.save_plot)):
            row = QHBoxLayout()
            for widget in pair:
                row.addWidget(widget, stretch=1)
            self._layout.addLayout(row)
        self.results.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in (self.form, self.run, self.text, self.results):
            layout.addWidget(part)

    def show_columns(self, names: Sequence[str]) -> None:
        """Offer columns for the plot, which comes into view; those chosen before stay."""
        if self.plot is None:
            from .plot import Plot  # a third of a second that the window need not wait for

            self.plot = Plot()
            self.plot.chosen.connect(self.rows_chosen)
            self._layout.insertWidget(1, self.plot)
        x, y = self.axes
        for choice, entries, wanted in (
            (self.across, [(name, name) for name in names], x),
            (self.up, [(COUNT, "objects"), *((name, name) for name in names)], y),
        ):
            with QSignalBlocker(choice):
                choice.clear()
                for name, text in entries:
                    choice.addItem(text, name)
                choice.setCurrentIndex(max(choice.findData(wanted), 0))
        if self.results.isHidden():
            self.results.show()
            bring_into_view(self.results)

    @property
    def axes(self) -> tuple[str, str]:
        """The chosen columns; the second is "" for a histogram."""
        return self.across.currentData() or "", self.up.currentData() or ""

    def forget(self) -> None:
        """Show no results."""
        self.results.hide()
        self.text.say(HINT)

    def _ask_for_table(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save the table as", "objects.csv", TABLES)
        if name:
            self.table_chosen.emit(name)

    def _ask_for_plot(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save the plot as", "plot.png", PICTURES)
        if name:
            self.plot_chosen.emit(name)
