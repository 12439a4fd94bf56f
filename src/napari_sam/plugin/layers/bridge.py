"""Layers ↔ session: rows of Points and Shapes become drawings, edits become labels.

Knows napari but no Qt, so that all of it runs on a ``ViewerModel``. Layers are held by reference,
never found by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from psygnal import Signal

from napari_sam.engine import SamError
from napari_sam.session import Region

from .area import Area
from .data_watch import DataWatch
from .deferring import Defer, at_once
from .image_view import ImageView
from .in_memory import labels_with_session
from .label_colours import LabelColours
from .label_link import LabelLink
from .labels_as_given import annotated_layer
from .layer_keys import LayerKeys
from .network_input import INPUT, NetworkInput, input_of, stack_of
from .outline import Outline
from .own_layers import is_blank, raise_above
from .preview import Preview
from .prompt_events import PromptEvents
from .prompt_layers import PromptLayers
from .prompt_sync import PromptSync
from .proposals import Proposals
from .replay import Replay, Replayed
from .sight import obstacle
from .together import Together
from .tools import Tools
from .view import id_at
from .world import WorldUnits

NO_BOX = "That was a click: drag from corner to corner to draw it."


class LayerBridge(ImageView):
    """The layers of one image under annotation, and the session behind them.

    Parameters
    ----------
    viewer
        The raw viewer model, not a proxy of it.
    image
        The image layer to annotate.
    labels
        Labels to write into; by default those that already hold a session of this image, else new
        ones.
    defer
        Runs a function a moment later, and once if it is asked several times: napari is still in
        the middle of its own edit when its events arrive. The default runs it at once; layers that
        are deleted then neither come back nor take others with them.

    Raises
    ------
    SamError
        If image or labels cannot be annotated.
    """

    frame_changed = Signal(object)  # the FrameIndex, or None when no frame is shown
    cursor_moved = Signal(object)  # yx in the shown frame, or None outside of it
    also_chosen = Signal(int)  # an object pointed at to be chosen beside others
    delete_pressed = Signal()  # with no prompt selected
    notice = Signal(str)
    closed = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        labels: Labels | None = None,
        defer: Defer = at_once,
    ) -> None:
        self.viewer = viewer
        self.image = image
        self._defer = defer
        self._closed = False
        stack = stack_of(image)
        found = labels or labels_with_session(viewer, image, stack)
        annotated = annotated_layer(found, image, stack)
        self.labels, self.session = annotated.layer, annotated.session
        self.about_labels = annotated.notice  # what is to be known of them, in sentences
        self.session.channel_axis = input_of(image).channel_axis
        self._data = DataWatch(image, self.labels, self.session)
        self.frame = self.shown_frame()
        self.session.shown = self.frame or self.session.shown
        self._replay = Replay(self.session)
        self._link = LabelLink(
            self.labels, self.session, lambda: self.frame, defer, self.notice.emit
        )
        self.colours = LabelColours(self.labels)
        self.prompts = PromptLayers(image, stack, self.notice.emit)
        self._sync = PromptSync(self.prompts, self.session, self.notice.emit, defer)
        self.points, self.shapes = self.prompts.points, self.prompts.shapes
        self.tools = Tools(viewer, self.points, self.shapes, defer)
        self._drawing = PromptEvents(self.prompts, self.tools)
        self.outline = Outline(viewer, image, stack)
        self._preview = Preview(viewer, image, stack, lambda: self.labels)
        self.proposals = Proposals(viewer, image, stack, self.labels)
        self.boxes = Proposals(viewer, image, stack, self.labels, "boxes")
        self.area = Area(viewer, image, self.shapes, self.session, defer)
        for layer in (self.labels, self.outline.layer, self.shapes, self.points):
            if layer not in viewer.layers:
                viewer.layers.append(layer)
        raise_above(viewer, self.labels, image)
        self.show_object()
        self.use("point")
        self.tools.tell()
        drawn_in = (self.points, self.shapes, self.area.layer)
        self._units = WorldUnits(viewer, image, drawn_in, defer)
        self._together = Together(
            image, stack, self.labels, drawn_in, lambda: self.shown_layers, self._units, defer
        )
        self._connect()

    @property
    def is_begun(self) -> bool:
        """Whether there is an annotation, or one on its way."""
        return bool(self.session.pending()) or any(True for _ in self.session.annotations())

    @property
    def is_blank(self) -> bool:
        """Whether the labels were made here, and nobody has begun to annotate."""
        return not self.is_begun and is_blank(self.labels)

    # What is on screen

    @property
    def shown_layers(self) -> tuple[Labels, ...]:
        """Layers that only show something: no labels to annotate."""
        return (self.preview, self.outline.layer, self.proposals.layer, self.boxes.layer)

    @property
    def is_drawing(self) -> bool:
        """Whether a shape is being drawn: napari cannot change the frame until it is done."""
        return self._drawing.is_drawing

    @property
    def obstacle(self) -> str:
        """Why the user cannot see the image or the masks, as a sentence; "" if they are visible."""
        unseen = obstacle(self.viewer, self.image, self.labels, self.tools.layer)
        return unseen or self.colours.obstacle

    def _on_dims(self, event: object = None) -> None:
        frame = self.shown_frame()
        if frame == self.frame:
            return
        self.frame = frame
        self.session.shown = frame or self.session.shown
        self.show_preview(Region.empty())
        self._set_defaults()
        self.tools.set_mode(can_draw=frame is not None)
        self.frame_changed.emit(frame)

    # Layers → session

    def snapshot(self) -> None:
        """Read every prompt from the layers and tell the session what is new. Idempotent."""
        if self.prompts.is_filling or self.is_drawing or self._closed:
            return
        newest = self._sync.read()
        if newest is not None:
            self._select_shown(newest)
        self._set_defaults()

    # Session → layers

    def show_object(self) -> None:
        """Bring the drawings of the active object back into the layers, for editing."""
        self._sync.show()
        self.labels.selected_label = self.session.active
        self._set_defaults()

    def select(self, object_id: int) -> None:
        """Make an object the active one and show its prompts."""
        for layer in (self.points, self.shapes):
            if not layer.visible:  # else napari would put the tool down
                layer.visible = True
        self.session.select(object_id)
        self.show_object()

    def next_object(self) -> None:
        """Begin a new object."""
        self._link.note_ids()
        try:
            self.session.new_object()
        except SamError as error:
            self.notice.emit(str(error))
            return
        self.show_object()

    def object_at(self, point_world: Sequence[float]) -> int:
        """The id of the object at a position in the world; 0 where there is none."""
        return id_at(self.labels, self.frame, self.point_in_frame(point_world))

    def _select_shown(self, object_id: int) -> None:
        """Make an object active whose drawings the layers hold already."""
        self.session.select(object_id)
        self.labels.selected_label = object_id

    def _set_defaults(self, *, negative: bool = False) -> None:
        """Decide what the next point or shape will belong to and mean."""
        self._sync.set_defaults(self.frame, negative=negative)

    # Labels

    @property
    def is_replaying(self) -> bool:
        """Whether the session goes back or forth in its history just now."""
        return self._replay.is_running

    def undo(self, layer: object = None) -> None:
        """Take back what was done last: a prompt, a stroke, a run over many frames."""
        self._show_replayed(self._replay.undo())

    def redo(self, layer: object = None) -> None:
        """Do again what was undone last."""
        self._show_replayed(self._replay.redo())

    def _show_replayed(self, replayed: Replayed) -> None:
        """Show where something changed, or where the run began that is taken back."""
        self.show_object()
        if self.frame is None or self.frame not in replayed.sources:
            self.show_one_of(replayed.frames)
        self.notice.emit(replayed.said)

    # Preview

    @property
    def preview(self) -> Labels:
        """The layer that shows it."""
        return self._preview.layer

    def show_preview(self, region: Region) -> None:
        """Show a region of the shown frame without writing it; an empty one hides what is shown."""
        self._preview.show(region, self.frame)

    def give(self, given: NetworkInput) -> None:
        """Let the network see other channels, or another contrast."""
        self.image.metadata[INPUT] = given
        self._data.look_at_image()

    # Tools, mouse and keys

    def use(self, tool: str) -> None:
        """Make a tool the active one: point, rectangle, ellipse, polygon or path."""
        self.tools.use(tool, can_draw=self.frame is not None)

    def set_negative(self, negative: bool) -> None:
        """Whether the next points and scribbles say where the object is not."""
        self._sync.negative = negative
        self._set_defaults()

    def set_one_object_per_prompt(self, on: bool) -> None:
        """Whether each box and each positive point begins an object of its own."""
        self._sync.one_object_per_prompt = on
        self._set_defaults()

    def set_protected(self, on: bool) -> None:
        """Whether neither masks nor napari's brush take pixels of other objects."""
        self.session.protect_neighbours = self.labels.preserve_labels = on

    def _on_press(self, negative: bool) -> None:
        """napari took the features of the last selection."""
        self._set_defaults(negative=negative)

    def _on_delete(self, layer: Layer) -> None:
        """Prompts that are selected go, as napari has it; else it is about objects."""
        if layer in (self.points, self.shapes) and layer.selected_data:
            layer.remove_selected()
        else:
            self.delete_pressed.emit()

    def _on_picked(self, point_world: Sequence[float], also: bool) -> None:
        """Make the object that was pointed at the active one, or choose it beside others."""
        if object_id := self.object_at(point_world):
            (self.also_chosen.emit if also else self.select)(object_id)

    def _on_move(self, viewer: ViewerModel, event: Any) -> None:
        self.cursor_moved.emit(self.point_in_frame(event.position))

    # Life

    def _connect(self) -> None:
        self.viewer.dims.events.connect(self._on_dims)
        self.viewer.layers.events.removed.connect(self._on_removed)
        self.viewer.mouse_move_callbacks.append(self._on_move)
        self._data.changed.connect(self._on_data)
        self._data.ended.connect(self.close)
        self._data.noticed.connect(self.notice.emit)
        self._together.moved.connect(self._on_moved)
        self._together.noticed.connect(self.notice.emit)
        self.labels.events.selected_label.connect(self._on_selected_label)
        self._drawing.changed.connect(partial(self._defer, self.snapshot))
        self._drawing.clicked.connect(self._on_clicked)
        self.tools.pressed.connect(self._on_press)
        self.tools.picked.connect(self._on_picked)
        keys = {
            "Control-Z": self.undo,
            "Control-Shift-Z": self.redo,
            **dict.fromkeys(("Delete", "Backspace"), self._on_delete),
        }
        self._keys = LayerKeys((self.labels, self.points, self.shapes), keys)

    def _on_clicked(self) -> None:
        """A box of no size goes again."""
        self.notice.emit(NO_BOX)
        self._defer(self.show_object)

    def _on_moved(self) -> None:
        """The image lies elsewhere in the world, and the sliders may show another frame of it."""
        self.show_preview(Region.empty())
        self.outline.forget()
        self._on_dims()
        self.frame_changed.emit(self.frame)

    def _on_data(self) -> None:
        self.frame_changed.emit(self.frame)

    def _on_selected_label(self, event: object = None) -> None:
        """A label picked with napari's own tools is the object that prompts go to as well."""
        picked = self.labels.selected_label
        if picked > 0 and picked != self.session.active:
            self.select(picked)

    def _on_removed(self, event: Any) -> None:
        """napari may be in the midst of removing several, and bears no layer of ours to come or go.

        Where nothing can be put off they stay as they are.
        """
        is_over = event.value in (self.image, self.labels)
        if self._defer is at_once:
            if is_over and not self._closed:
                self._let_go()
                self.closed.emit()
        elif is_over:
            self._defer(self.close)
        elif event.value in (self.points, self.shapes):
            self._defer(self._bring_back)

    def _bring_back(self) -> None:
        """Prompt layers that were deleted come back: the session knows what was in them."""
        if self._closed or self.image not in self.viewer.layers:
            return
        for layer in (self.shapes, self.points):
            if layer not in self.viewer.layers:
                self.viewer.layers.append(layer)
        self.show_object()

    def close(self) -> None:
        """Let go of the viewer. The labels stay, and the session with them."""
        if self._closed:
            return
        self._let_go()
        drawn_in = (self.points, self.shapes, self.area.layer)
        remove_layers(self.viewer, [*drawn_in, *self.shown_layers])
        self.closed.emit()

    def _let_go(self) -> None:
        self._closed = True
        self.viewer.dims.events.disconnect(self._on_dims)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.tools.close()
        self._together.close()
        self._units.close()
        if self._on_move in self.viewer.mouse_move_callbacks:
            self.viewer.mouse_move_callbacks.remove(self._on_move)
        self._data.close()
        self.colours.restore()
        self._link.close()
        self._sync.close()
        self.labels.events.selected_label.disconnect(self._on_selected_label)
        self._keys.close()
        self.area.close()


def remove_layers(viewer: ViewerModel, layers: Iterable[Layer]) -> None:
    """Take layers out of a viewer, if they are still there.

    At once: after each removal by itself napari collects garbage, which takes longer than all else.
    """
    there = [layer for layer in layers if layer in viewer.layers]
    batched = getattr(
        viewer.layers, "batched_update", nullcontext
    )  # before napari 0.9 there is none
    if there:
        with batched():
            for layer in there:
                viewer.layers.remove(layer)
