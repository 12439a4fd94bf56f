"""A plot of measured objects: points or bars, of which an outline drawn with the mouse chooses."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from pyqtgraph.exporters import ImageExporter
from qtpy.QtCore import QPoint, QPointF, QRect, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPalette
from qtpy.QtSvg import QSvgGenerator
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sam.engine.masks import polygon_mask

HEIGHT = 200  # pixels
TITLE_STANDS_OUT = 5  # pixels, below pyqtgraph's own axis
N_BARS = 40
POINT, CHOSEN = QColor(90, 160, 230, 160), QColor(255, 190, 40)
SAVED_WIDTH = 1600  # pixels of a picture


class Plot(QWidget):
    """Two columns of a table as points, or one as a histogram.

    Drag the mouse around points to choose them; in a histogram, along the bars. The wheel zooms.
    """

    chosen = Signal(object)  # rows of the table, (N,)

    def __init__(self) -> None:
        super().__init__()
        self._x = self._y = np.zeros(0)
        self._is_histogram = False
        self._view = _Lasso()
        self._view.drawn.connect(self._on_drawn)
        self._plot = pg.PlotWidget(viewBox=self._view, enableMenu=False)
        item = self._plot.getPlotItem()
        item.layout.setContentsMargins(1, 1, 1, TITLE_STANDS_OUT)
        menu = item.ctrlMenu  # without a parent it would stay
        menu.setParent(self._plot, menu.windowFlags())
        self._points = pg.ScatterPlotItem(size=6, pen=None)
        self._bars = pg.BarGraphItem(x0=[], x1=[], height=[], brush=POINT, pen=None)
        self._chosen_bars = pg.BarGraphItem(x0=[], x1=[], height=[], brush=CHOSEN, pen=None)
        self._lines = pg.PlotDataItem(pen=pg.mkPen(POINT, width=1))
        for each in (self._lines, self._points, self._bars, self._chosen_bars):
            self._plot.addItem(each)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._plot)
        self.setFixedHeight(HEIGHT)

    def show_points(
        self, x: NDArray[Any], y: NDArray[Any], titles: tuple[str, str], owners: NDArray[Any] | None
    ) -> None:
        """A point a row; those of one owner are joined by a line, if owners are given."""
        self._x, self._y, self._is_histogram = x, y, False
        self._points.setData(x=x, y=y, brush=POINT)
        self._draw_lines(owners)
        self._bars.setOpts(x0=[], x1=[], height=[])
        self.highlight(())
        self._show(titles)

    def show_histogram(self, x: NDArray[Any], title: str) -> None:
        """How many rows have a value around each place."""
        self._x, self._y, self._is_histogram = x, np.zeros_like(x), True
        heights, edges = np.histogram(x[np.isfinite(x)], bins=min(N_BARS, max(len(x), 1)))
        self._edges = edges
        self._points.setData(x=[], y=[])
        self._draw_lines(None)
        self._bars.setOpts(x0=edges[:-1], x1=edges[1:], height=heights)
        self.highlight(())
        self._show((title, "objects"))

    def highlight(self, rows: Collection[int]) -> None:
        """Mark rows as chosen."""
        which = np.zeros(len(self._x), bool)
        which[list(rows)] = True
        if self._is_histogram:
            chosen = self._x[which]
            heights, edges = np.histogram(chosen[np.isfinite(chosen)], bins=self._edges)
            self._chosen_bars.setOpts(x0=edges[:-1], x1=edges[1:], height=heights)
            return
        self._chosen_bars.setOpts(x0=[], x1=[], height=[])
        if len(self._x):
            brushes = np.where(which, pg.mkBrush(CHOSEN), pg.mkBrush(POINT))
            self._points.setBrush(brushes.tolist())

    def save(self, path: Path, suffix: str) -> None:
        """Write the plot as .png or .svg."""
        if suffix == ".svg":
            self._save_svg(path)
            return
        exporter = ImageExporter(self._plot.getPlotItem())
        exporter.parameters()["width"] = SAVED_WIDTH
        exporter.export(toBytes=True).save(str(path), "PNG")

    def place_of(self, x: float, y: float) -> QPointF:
        """Where a point of the plot is on the widget that :meth:`surface` gives."""
        at = self._view.mapViewToScene(QPointF(x, y))
        return QPointF(self._plot.mapFromScene(at))

    @property
    def surface(self) -> QWidget:
        """The widget that gets the events of the mouse."""
        found: QWidget = self._plot.viewport()
        return found

    def _save_svg(self, path: Path) -> None:
        """By Qt: pyqtgraph's own exporter fails at items without a point."""
        size = self._plot.size()
        generator = QSvgGenerator()
        generator.setFileName(str(path))
        generator.setSize(size)
        generator.setViewBox(QRect(QPoint(0, 0), size))
        with QPainter(generator) as painter:
            self._plot.render(painter)

    def _draw_lines(self, owners: NDArray[Any] | None) -> None:
        if owners is None or not len(owners):
            self._lines.setData([], [])
            return
        joined = np.append(owners[1:] == owners[:-1], False)
        self._lines.setData(self._x, self._y, connect=joined.astype(np.int32))

    def _show(self, titles: tuple[str, str]) -> None:
        """Name the axes, in the colours of the window."""
        palette = self.palette()
        ground = palette.color(QPalette.ColorRole.Window)
        ink = palette.color(QPalette.ColorRole.WindowText)
        self._plot.setBackground(ground)
        for side, title in zip(("bottom", "left"), titles, strict=True):
            axis = self._plot.getAxis(side)
            axis.setPen(ink)
            axis.setTextPen(ink)
            axis.enableAutoSIPrefix(False)
            self._plot.setLabel(side, title)
        self._view.autoRange()

    def _on_drawn(self, outline: NDArray[np.float64]) -> None:
        low, high = outline.min(axis=0), outline.max(axis=0)
        if self._is_histogram:
            inside = (self._x >= low[0]) & (self._x <= high[0])
        else:
            at = np.column_stack([self._y, self._x])
            inside = _within(at, outline[:, ::-1])
        self.chosen.emit(np.flatnonzero(inside))


def _within(points: NDArray[np.float64], outline: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points ``(N, 2)`` are in an outline ``(M, 2)``, on a grid as fine as a screen."""
    fine = 1000
    low, high = outline.min(axis=0), outline.max(axis=0)
    span = np.maximum(high - low, 1e-300)
    mask = polygon_mask((outline - low) / span * (fine - 1), (fine, fine))
    places = (points - low) / span * (fine - 1)
    near = np.isfinite(places).all(axis=1) & (places >= 0).all(axis=1)
    near &= (places <= fine - 1).all(axis=1)
    found = np.zeros(len(points), bool)
    rows, columns = np.rint(places[near]).astype(int).T
    found[near] = mask[rows, columns]
    return found


class _Lasso(pg.ViewBox):  # type: ignore[misc]  # pyqtgraph has no types
    """A view in which dragging draws an outline instead of moving what is shown."""

    drawn = Signal(object)  # (N, 2) x and y in units of the axes

    def __init__(self) -> None:
        super().__init__(enableMenu=False)
        self._path: list[tuple[float, float]] = []
        self._line = pg.PlotCurveItem(pen=pg.mkPen(CHOSEN, width=2))

    def mouseDragEvent(self, event: Any, axis: Any = None) -> None:  # noqa: N802 pyqtgraph's name
        """Draw along the way of the mouse."""
        if event.button() != Qt.MouseButton.LeftButton:
            super().mouseDragEvent(event, axis)
            return
        event.accept()
        if event.isStart():
            start = self.mapSceneToView(event.buttonDownScenePos())
            self._path = [(start.x(), start.y())]
            self.addItem(self._line, ignoreBounds=True)
        at = self.mapSceneToView(event.scenePos())
        self._path.append((at.x(), at.y()))
        self._line.setData(*np.array(self._path).T)
        if event.isFinish():
            self.removeItem(self._line)
            if len(self._path) > 2:
                self.drawn.emit(np.array(self._path))
