"""Objects measured in the window: a table, a plot, and points that are objects of the list."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.engine import FrameStack, Labelled, SamError, written
from napari_sam.measurements.options import MeasureOptions
from napari_sam.plugin.layers.labelled import labelled
from napari_sam.plugin.panels.measuring import HINT, MeasurePanel
from napari_sam.plugin.panels.objects import ObjectPanel
from napari_sam.plugin.work.jobs import BULK, Job, Report

from .controller import Controller, Window

if TYPE_CHECKING:
    import pandas as pd

    from napari_sam.plugin.layers.bridge import LayerBridge

MEASURE = "measure"  # job slot
BUSY = "Measuring the objects …"
STALE = "The objects were changed since: measure again."
NOT_PLOTTED = ("object_id", "box_", "at_border")
NOT_MEASURED = ("class_probability", "score", "by_hand_share")  # facts of the session: offered last


class Measuring(Controller):
    """Measures on request; what is chosen in the plot is chosen in the list, and back.

    Parameters
    ----------
    panel
        Shows it.
    objects
        The list of objects.
    """

    def __init__(self, window: Window, panel: MeasurePanel, objects: ObjectPanel) -> None:
        super().__init__(window)
        self.table: pd.DataFrame | None = None
        self._panel, self._objects = panel, objects
        panel.measure_clicked.connect(self.measure)
        panel.axes_chosen.connect(self._draw)
        panel.table_chosen.connect(self.save_table)
        panel.plot_chosen.connect(self.save_plot)
        panel.rows_chosen.connect(self._on_chosen)
        if selection := objects.table.selectionModel():
            selection.selectionChanged.connect(self._highlight)

    def attach(self, bridge: LayerBridge) -> None:
        """Measure the objects of an image from now on."""
        self._bridge = bridge
        stack = bridge.session.stack
        self._panel.form.show_row("each", stack.ndim > 2)
        for signal in (bridge.session.landed, bridge.session.relabelled):
            signal.connect(self._on_change)

    def detach(self) -> None:
        """Let go of it and of its table."""
        bridge, self._bridge = self._bridge, None
        self._worker.cancel(MEASURE)
        self.table = None
        self._panel.forget()
        self._panel.run.setEnabled(True)
        if bridge is not None:
            for signal in (bridge.session.landed, bridge.session.relabelled):
                signal.disconnect(self._on_change)

    @property
    def is_busy(self) -> bool:
        """Whether objects are being measured."""
        return self._bridge is not None and not self._panel.run.isEnabled()

    def measure(self) -> None:
        """Measure all objects, beside the window."""
        if self._bridge is None:
            return
        session = self._bridge.session
        objects = labelled(session, self._bridge.labels)
        work = partial(_measure, objects, session.stack, self._panel.form.value())
        self._panel.run.setEnabled(False)
        job = Job(
            MEASURE,
            work,
            done=partial(self._on_measured, session.n_changes),
            failed=self._on_failed,
            progress=partial(self._status.show_busy, BUSY),
            priority=BULK,
        )
        self._status.show_busy(BUSY)
        self._worker.submit(job)

    def stop(self) -> None:
        """Measure no further; the table of before stays."""
        self._worker.cancel(MEASURE)
        if self.is_busy:
            self._panel.run.setEnabled(True)
            self._panel.text.say(HINT)

    def save_table(self, path: str) -> None:
        """Save all columns."""
        from napari_sam.measurements import write_measurements

        if self.table is None:
            return
        try:
            write_measurements(path, self.table)
        except SamError as error:
            self._tell(error)
            return
        self._panel.text.say(f"{Path(path).name} is written.")

    def save_plot(self, path: str) -> None:
        """Save the plot as it is seen."""
        target = Path(path)
        if self._panel.plot is None:
            return
        try:
            if target.suffix.lower() not in (".png", ".svg"):
                raise SamError(f"A plot cannot be saved as {target.name}. Choose .png or .svg.")
            with written(target) as part:
                self._panel.plot.save(part, target.suffix.lower())
        except SamError as error:
            self._tell(error)
            return
        self._panel.text.say(f"{target.name} is written.")

    def _on_measured(self, n_changes: int, table: pd.DataFrame) -> None:
        if self._bridge is None:
            return
        # Object by object, so that curves over time can be drawn
        self.table = table.sort_values("object_id", kind="stable", ignore_index=True)
        self._panel.run.setEnabled(True)
        self._status.show_idle("Measured.")
        n = table["object_id"].nunique()
        rows = f" in {len(table)} rows" if len(table) != n else ""
        self._panel.text.say(
            f"{n} object{'s' * (n != 1)} measured{rows}. Drag in the plot to choose some."
        )
        if self._bridge.session.n_changes != n_changes:  # while they were measured
            self._panel.text.say(STALE)
        if not n:
            self._panel.forget()
            self._panel.text.say("There is no object yet.")
            return
        names = [
            name
            for name in table.columns
            if table[name].dtype.kind in "fiu" and not name.startswith(NOT_PLOTTED)
        ]
        names.sort(key=NOT_MEASURED.__contains__)
        self._panel.show_columns([name for name in names if table[name].notna().any()])
        self._draw()
        self._show_features()

    def _on_failed(self, error: Exception) -> None:
        self._panel.run.setEnabled(True)
        self._panel.text.say(HINT)
        self._tell(error)

    def _on_change(self, *_: object) -> None:
        if self._bridge is not None and self.table is not None:
            self._panel.text.say(STALE)

    def _draw(self) -> None:
        plot, table = self._panel.plot, self.table
        if plot is None or table is None:
            return
        x, y = self._panel.axes
        if not y:
            plot.show_histogram(table[x].to_numpy(float), x)
        else:
            over_time = x == "t" or x.startswith(("time_", "axis"))
            owners = table["object_id"].to_numpy() if over_time else None
            plot.show_points(table[x].to_numpy(float), table[y].to_numpy(float), (x, y), owners)
        self._highlight()

    def _on_chosen(self, rows: Any) -> None:
        """Choose the objects of these rows in the list."""
        if self.table is None or not len(rows):
            return
        ids = sorted(set(self.table["object_id"].to_numpy()[rows].tolist()))
        self._objects.choose(ids)
        self._highlight()
        self._panel.text.say(f"{len(ids)} object{'s' * (len(ids) != 1)} chosen in the list.")

    def _highlight(self, *_: object) -> None:
        if self._panel.plot is not None and self.table is not None:
            chosen = self.table["object_id"].isin(self._objects.chosen())
            self._panel.plot.highlight(np.flatnonzero(chosen).tolist())

    def _show_features(self) -> None:
        """Let napari's table of features have the columns, where an object has one row."""
        if self._bridge is None or self.table is None or not self.table["object_id"].is_unique:
            return
        layer = self._bridge.labels
        measured = self.table.rename(columns={"object_id": "index"})
        known = layer.features
        kept = [name for name in known.columns if name == "index" or name not in measured.columns]
        joined = known[kept].merge(measured, on="index", how="outer")
        for name in joined.columns:
            if joined[name].dtype == object:
                joined[name] = joined[name].fillna("")
        layer.features = joined


def _measure(
    objects: Labelled, stack: FrameStack, options: MeasureOptions, report: Report
) -> pd.DataFrame:
    from napari_sam.measurements import measure

    return measure(objects, stack, options, progress=report)
