"""Which image is annotated, and into which labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.layers import Image, Labels
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QComboBox

from napari_sam.engine import SamError
from napari_sam.plugin.layers import AttributeArrays, LayerBridge, remove_layers
from napari_sam.plugin.layers.network_input import tell_channel_axis
from napari_sam.plugin.layers.own_layers import new_labels
from napari_sam.plugin.layers.sight import CHANGES, is_on_top
from napari_sam.plugin.panels.source import SourcePanel
from napari_sam.plugin.sessions.reopening import Reopening

if TYPE_CHECKING:
    from napari_sam.plugin.work.jobs import Worker

    from .controller import Window
    from .messages import Messages

LISTED = ("inserted", "removed", "name")  # events of layers after which others are listed
FOLLOWED = "“{}” is on top, so it is annotated now. To go back, choose “{}” under Image."
NO_IMAGE = "Open an image to begin: drop a file into the window."


class ActiveImage(QObject):
    """Lists the layers there are, and attaches the window to one image and its labels.

    Parameters
    ----------
    window, messages
        As of every controller.
    panel
        Shows images and labels to choose from.
    reader
        Reads saved sessions.
    """

    attached = Signal(object)  # LayerBridge
    detached = Signal(object)  # LayerBridge
    sight_changed = Signal()  # something else keeps the user from seeing what is clicked

    def __init__(
        self, window: Window, panel: SourcePanel, messages: Messages, reader: Worker
    ) -> None:
        super().__init__()
        self.bridge: LayerBridge | None = None
        self._viewer: ViewerModel = window.viewer
        self._panel, self._status = panel, window.status
        self._defer, self._tell, self._inform = window.defer, messages.tell, messages.inform
        self.is_busy: Callable[[], bool] = lambda: False  # with objects of this image
        self._arrays = AttributeArrays(self._viewer)
        self._obstacle = ""  # to the eye, that was told last
        self.reopening = Reopening(
            self._viewer, reader, self.attach, messages.inform, messages.tell
        )
        self._viewer.layers.events.connect(self._on_layers)
        self._viewer.layers.selection.events.active.connect(self._on_chosen)
        panel.image.activated.connect(self._choose_image)
        panel.labels.activated.connect(self._choose_labels)
        panel.cell_size.valueChanged.connect(self._set_cell_size)

    # What there is to choose from

    def _on_layers(self, event: Any) -> None:
        """Layers came, went, or are seen otherwise than before."""
        if event.type in LISTED:
            self._defer(self.list_layers)
        if event.type in (*LISTED, *CHANGES):
            self._defer(self._look)
        if event.type == "inserted":
            self._on_chosen(event)

    def _look(self) -> None:
        """Say so if something else keeps the user from seeing what is clicked."""
        seen, self._obstacle = self._obstacle, self.bridge.obstacle if self.bridge else ""
        if self._obstacle != seen:
            self.sight_changed.emit()

    def _on_chosen(self, event: Any) -> None:
        """A layer was added or selected."""
        layer = event.value
        if event.type == "inserted" and self.reopening.is_session(layer):
            self._defer(partial(self.begin, layer))  # dropped into the window to go on with it
        elif isinstance(layer, Image):
            self._defer(partial(self._follow, layer))

    def _follow(self, image: Image) -> None:
        """Annotate the image on top, unless objects of another image are still being computed."""
        before = self.bridge
        if before is None or before.image is image or self.is_busy():
            return
        if self.reopening.image is image or self.reopening.is_session(image):
            return  # it comes with its session, which is being read
        if is_on_top(self._viewer, image):
            self.begin(image)
            if not before.is_blank:
                self._inform(FOLLOWED.format(image.name, before.image.name), False)

    def list_layers(self) -> None:
        """Show the layers; begin with an image if none is annotated."""
        images = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        labels = [layer for layer in self._viewer.layers if isinstance(layer, Labels)]
        own = self.bridge.shown_layers if self.bridge else ()
        labels = [layer for layer in labels if layer not in own]
        current = self.bridge.image if self.bridge else None
        _fill(self._panel.image, images, current)
        _fill(self._panel.labels, [None, *labels], self.bridge.labels if self.bridge else None)
        if self.bridge is None and images and self.reopening.image not in images:
            self.begin(next((each for each in reversed(images) if each.visible), images[-1]))
        elif not images:
            self._status.show_idle(NO_IMAGE)

    def _choose_image(self, _: int = 0) -> None:
        self.begin(self._panel.image.currentData())

    def _choose_labels(self, _: int = 0) -> None:
        """Go on with other labels, or with new ones. Those before are hidden; blank ones go."""
        before = self.bridge
        if before is None:
            return
        image, stack = before.image, before.session.stack
        self.attach(image, self._panel.labels.currentData() or new_labels(image, stack))
        if self.bridge is None or self.bridge.labels is before.labels:
            return
        self.bridge.labels.visible, before.labels.visible = True, False
        if before.is_blank:
            remove_layers(self._viewer, [before.labels])

    def tell_channel_axis(self, axis: int | None) -> None:
        """Annotate the same image with another axis of channels, or none: in other labels."""
        before = self.bridge
        if before is None:
            return
        self.detach()
        tell_channel_axis(before.image, axis)
        self.attach(before.image)
        if before.is_blank:
            remove_layers(self._viewer, [before.labels])
        elif self.bridge is not None and self.bridge.labels is not before.labels:
            before.labels.visible = False

    def _set_cell_size(self, diameter: int) -> None:
        if self.bridge is not None:
            self.bridge.session.cell_diameter = float(diameter) or None

    def undo(self) -> None:
        """Take back what was done last."""
        if self.bridge is not None:
            self.bridge.undo()

    def redo(self) -> None:
        """Do again what was undone last."""
        if self.bridge is not None:
            self.bridge.redo()

    # Attached to one of them

    def begin(self, image: Image) -> None:
        """Annotate an image: with its session, where one is in memory or was saved."""
        if image in self._viewer.layers and not (self.bridge and self.bridge.image is image):
            self.reopening.begin(image)

    def open_session(self, folder: str) -> None:
        """Go on with a saved session."""
        try:
            self.reopening.open(Path(folder), self.bridge.image if self.bridge else None)
        except SamError as error:
            self._tell(error)

    def attach(self, image: Image, labels: Labels | None = None) -> None:
        """Annotate an image; if that is not possible, continue with the previous one."""
        before = self.bridge
        self.detach()
        try:
            self._go_on(self._bridge_to(image, labels))
        except SamError as error:
            if before is not None:
                self._go_on(self._bridge_to(before.image, before.labels))
            self._tell(error)

    def detach(self) -> None:
        """Let go of the layers. What was landed stays."""
        if self.bridge is not None:
            self.bridge.close()

    def _go_on(self, bridge: LayerBridge) -> None:
        """Let all parts of the window work on the layers of a bridge."""
        self.bridge, session = bridge, bridge.session
        bridge.notice.connect(self._status.show_idle)
        bridge.closed.connect(self._on_closed)
        session.explained.connect(self._status.show_idle)
        session.cell_diameter = float(self._panel.cell_size.value()) or None
        session.learns_diameter = True
        self.list_layers()
        self.attached.emit(bridge)
        if bridge.about_labels:
            self._inform(bridge.about_labels, True)

    def _on_closed(self) -> None:
        """The image or the labels are gone, or another image was chosen."""
        bridge = self.bridge
        if bridge is None:
            return
        self.detached.emit(bridge)
        bridge.session.explained.disconnect(self._status.show_idle)
        self.bridge = None
        self._defer(self.list_layers)

    def _bridge_to(self, image: Image, labels: Labels | None) -> LayerBridge:
        return LayerBridge(self._viewer, image, labels, self._defer)

    def shutdown(self) -> None:
        """Let go of the viewer."""
        self.detach()
        self._viewer.layers.events.disconnect(self._on_layers)
        self._viewer.layers.selection.events.active.disconnect(self._on_chosen)
        self._arrays.close()


def _fill(combo: QComboBox, layers: list[Any], current: Any) -> None:
    combo.clear()
    for layer in layers:
        combo.addItem("New labels" if layer is None else layer.name, layer)
    index = next((i for i, layer in enumerate(layers) if layer is current), 0)
    combo.setCurrentIndex(index)
