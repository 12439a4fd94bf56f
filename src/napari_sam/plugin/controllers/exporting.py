"""Objects written for another program, beside the window."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam.engine import FrameStack, Labelled, SamError
from napari_sam.engine.labelled import UNKNOWN
from napari_sam.formats.catalogue import FORMATS
from napari_sam.plugin.layers.labelled import labelled, only, watched
from napari_sam.plugin.layers.own_layers import new_surface
from napari_sam.plugin.panels.exporting import HINT, SOME, ExportPanel
from napari_sam.plugin.panels.objects import ObjectPanel
from napari_sam.plugin.work.jobs import BULK, Job, Report

from .controller import Controller, Window

if TYPE_CHECKING:
    from napari_sam.formats.surfaces import Surface
    from napari_sam.plugin.layers.bridge import LayerBridge

EXPORT, SURFACES = "export", "surfaces"  # job slots
CHANGED = "The objects were changed while they were written: export again."


class Exporting(Controller):
    """Writes what the panel says.

    Parameters
    ----------
    panel
        Shows it.
    objects
        The list of objects.
    """

    def __init__(self, window: Window, panel: ExportPanel, objects: ObjectPanel) -> None:
        super().__init__(window)
        self._panel, self._objects = panel, objects
        panel.export_chosen.connect(self.export)
        panel.surfaces_clicked.connect(self.show_surfaces)

    def attach(self, bridge: LayerBridge) -> None:
        """Export the objects of an image from now on."""
        self._bridge = bridge
        self._panel.suggested = bridge.labels.name
        self._panel.surfaces.setVisible(bridge.labels.ndim > 2)

    def detach(self) -> None:
        """Let go of them; what is not written is given up."""
        self.stop()
        super().detach()

    def stop(self) -> None:
        """Write no further: nothing of the file is left."""
        self._worker.cancel(EXPORT)
        self._worker.cancel(SURFACES)
        if not self._panel.run.isEnabled():
            self._panel.run.setEnabled(True)
            self._panel.text.say(HINT)

    def export(self, path: str) -> None:
        """Write all objects, or those chosen in the list."""
        if self._bridge is None:
            return
        target = Path(path)
        name = self._panel.format.currentData()
        objects = labelled(self._bridge.session, self._bridge.labels)
        if self._panel.what.currentData() == SOME:
            objects = only(objects, self._objects.chosen())
        try:
            self._check(target)
        except SamError as error:
            self._tell(error)
            return
        self._panel.run.setEnabled(False)
        self._status.show_busy(f"Writing {target.name} …")
        job = Job(
            EXPORT,
            partial(_export, objects, target, name, self._bridge.session.stack),
            done=partial(self._on_written, target, self._bridge.session.n_changes),
            failed=self._on_failed,
            priority=BULK,
        )
        self._worker.submit(job)

    def show_surfaces(self) -> None:
        """Show all objects of the volume, or those chosen in the list, as a layer of surfaces."""
        if self._bridge is None:
            return
        at = tuple(position or 0 for position in self._bridge.frame or ())[:-3]
        objects = labelled(self._bridge.session, self._bridge.labels)
        if objects.axes[-3] not in ("Z", UNKNOWN):
            self._tell(SamError(f"The axes {objects.axes} end in no volume, and so in no surface."))
            return
        if self._panel.what.currentData() == SOME:
            objects = only(objects, self._objects.chosen())
        self._status.show_busy("Finding the surfaces …")
        work = partial(_surfaces, objects, at)
        self._worker.submit(Job(SURFACES, work, self._on_surfaces, self._tell, priority=BULK))

    def _on_surfaces(self, found: list[Surface]) -> None:
        if self._bridge is None or not found:
            self._status.show_idle("There is no object in this volume.")
            return
        layers = self._bridge.viewer.layers
        layer = new_surface(self._bridge.labels, found)
        if layer.name in layers:  # of an earlier time
            layers.remove(layer.name)
        active = layers.selection.active
        layers.append(layer)
        layers.selection.active = active
        said = f"{len(found)} objects" if len(found) > 1 else "One object"
        self._status.show_idle(f"{said} in “{layer.name}”. Ctrl+Y shows it in 3D.")

    def _check(self, target: Path) -> None:
        """Refuse to write over the image, or into its session."""
        if self._bridge is None:
            return
        source = self._bridge.image.source.path
        saved = self._bridge.session.saved
        for read in (source, None if saved is None else saved.folder):
            if read is None:
                continue
            given, to = Path(read).resolve(), target.resolve()
            if to == given or (given in to.parents and to.parent.name != "labels"):
                raise SamError(f"{target.name} is, or is in, {given.name}. Write it elsewhere.")

    def _on_written(self, target: Path, n_changes: int, lost: list[str]) -> None:
        self._panel.run.setEnabled(True)
        self._status.show_idle("Exported.")
        if self._bridge is not None and self._bridge.session.n_changes != n_changes:
            lost = [CHANGED, *lost]
        self._panel.show_written(target, " ".join(lost))

    def _on_failed(self, error: Exception) -> None:
        self._panel.run.setEnabled(True)
        self._panel.text.say("Nothing was written.")
        self._tell(error)


def _surfaces(objects: Labelled, at: tuple[int, ...], report: Report) -> list[Surface]:
    from napari_sam.formats.surfaces import surfaces

    found = []
    for each in surfaces(objects.at(at)):
        report(0, 1)
        found.append(each)
    return found


def _export(
    objects: Labelled, target: Path, name: str, stack: FrameStack, report: Report
) -> list[str]:
    from napari_sam.formats import export

    image = stack if FORMATS[name].needs_image else None
    return export(watched(objects, partial(report, 0, 1)), target, name, image=image)
