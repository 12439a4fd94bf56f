"""Layers ↔ session: rows of Points and Shapes become drawings, edits become labels.

Knows napari but no Qt, so that all of it runs on a ``ViewerModel``. Layers are held by reference,
never found by name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from psygnal import Signal

from napari_sam.engine import FrameIndex, FrameStack, SamError
from napari_sam.session import Drawing, Region, Session

from .in_memory import (
    keep_in_memory,
    labels_with_session,
    session_in_memory,
)
from .label_link import Defer, LabelLink
from .own_layers import is_blank, new_labels, new_preview, show_region
from .prompt_layers import PromptLayers

Discard: TypeAlias = Callable[[Iterable[Layer]], None]

RIGHT_BUTTON = 2
TOOL_MODES = {
    "point": "add",
    "rectangle": "add_rectangle",
    "ellipse": "add_ellipse",
    "polygon": "add_polygon_lasso",
    "path": "add_path",
}
UNFINISHED = ("adding", "changing", "removing")  # napari's events before a change of data is done


class LayerBridge:
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
        the middle of its own edit when its events arrive. The default runs it at once.
    discard
        Takes the bridge's own layers out of the viewer when it is closed; the default at once.

    Raises
    ------
    SamError
        If image or labels cannot be annotated.
    """

    frame_changed = Signal(object)  # the FrameIndex, or None when no frame is shown
    cursor_moved = Signal(object)  # yx in the shown frame, or None outside of it
    also_chosen = Signal(int)  # an object pointed at to be chosen beside others
    tool_changed = Signal(str)  # the tool in hand, or "" as long as a click is no prompt
    notice = Signal(str)
    closed = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        labels: Labels | None = None,
        defer: Defer = lambda function: function(),
        discard: Discard | None = None,
    ) -> None:
        self.viewer = viewer
        self.image = image
        self.tool = "point"
        self.negative = False  # what a plain left click means
        self.one_object_per_prompt = False
        self._defer = defer
        self._discard = discard or partial(remove_layers, viewer)
        self._closed = False
        self.is_replaying = False  # the session goes back or forth in its history
        self.is_drawing = False  # a shape was begun: napari bears no other frame until it is done
        self._shown: set[int] = set()  # objects whose drawings the layers hold
        stack = stack_of(image)
        found = labels or labels_with_session(viewer, image, stack)
        self.labels = found or new_labels(image, stack)
        self.session = self._resume(stack, highest_id=None if found else 0)
        self.frame = self.shown_frame()
        self.session.shown = self.frame or self.session.shown
        self._link = LabelLink(self.labels, self.session, lambda: self.frame, defer)
        self.prompts = PromptLayers(image, stack, self.notice.emit)
        self.points, self.shapes = self.prompts.points, self.prompts.shapes
        self.preview = new_preview(image, stack)
        for layer in (self.labels, self.preview, self.shapes, self.points):
            if layer not in viewer.layers:
                viewer.layers.append(layer)
        self._raise_labels()
        self.show_object()
        self.use("point")
        self._told_tool = self.tool_in_hand
        self._connect()

    def _resume(self, stack: FrameStack, highest_id: int | None) -> Session:
        """The session these labels hold, or a new one."""
        held = session_in_memory(self.labels, self.image, stack)
        if held is not None:
            held.stack = stack
            return held
        session = Session(stack, self.labels.data, highest_id=highest_id)
        keep_in_memory(session, self.image, self.labels)
        return session

    def _raise_labels(self) -> None:
        """Labels that lie below the image could not be seen."""
        layers = self.viewer.layers
        if layers.index(self.labels) < layers.index(self.image):
            layers.move(layers.index(self.labels), layers.index(self.image) + 1)

    @property
    def is_blank(self) -> bool:
        """Whether the labels were made here, and nobody has begun to annotate."""
        is_begun = bool(self.session.pending()) or any(True for _ in self.session.annotations())
        return not is_begun and is_blank(self.labels)

    # Which frame is shown, and where in it

    def shown_frame(self) -> FrameIndex | None:
        """The frame on screen; ``None`` in 3D, or where the sliders are outside this image."""
        dims = self.viewer.dims
        n = self.session.stack.ndim
        displayed = {axis - (dims.ndim - n) for axis in dims.displayed}
        if dims.ndisplay != 2 or min(displayed) < 0:
            return None
        point_data = self.image.world_to_data(dims.point)[-n:]
        try:
            return self.session.stack.locate(point_data, displayed=tuple(displayed))[0]
        except SamError:
            return None

    def point_in_frame(self, point_world: Sequence[float]) -> tuple[float, float] | None:
        """A position of the cursor as yx in the shown frame; ``None`` outside of it."""
        if self.frame is None:
            return None
        point_data = self.image.world_to_data(point_world)[-self.session.stack.ndim :]
        y, x = (float(c) for c, i in zip(point_data, self.frame, strict=True) if i is None)
        height, width = self.session.stack.frame_shape_of(self.frame)
        return (y, x) if -0.5 <= y < height - 0.5 and -0.5 <= x < width - 0.5 else None

    def _on_dims(self, event: object = None) -> None:
        frame = self.shown_frame()
        if frame == self.frame:
            return
        self.frame = frame
        self.session.shown = frame or self.session.shown
        self.show_preview(Region.empty())
        self._set_defaults()
        self._set_mode()
        self.frame_changed.emit(frame)

    # Layers → session

    def snapshot(self) -> None:
        """Read every prompt from the layers and tell the session what is new. Idempotent."""
        if self.prompts.is_filling or self._closed:
            return
        before = {(o, f) for o in self._shown for f in self.session.prompted_frames(o)}
        drawings: dict[tuple[int, FrameIndex], tuple[Drawing, ...]] = {}
        for object_id, frame, drawing in self.prompts.read(self.session.stack, self.session.active):
            key = (object_id, frame)
            drawings[key] = (*drawings.get(key, ()), drawing)
        self._shown = {self.session.active, *(object_id for object_id, _ in drawings)}
        for key in [*(before - drawings.keys()), *drawings]:
            try:
                self.session.draw(*key, drawings.get(key, ()))
            except SamError as error:
                self.notice.emit(str(error))
        newest = max((object_id for object_id, _ in drawings), default=0)
        if self.one_object_per_prompt and newest > self.session.active:
            self._select_shown(newest)
        if self.points.mode == "add":  # napari selects a new point, which hides its colour
            self.points.selected_data = set()
        self._set_defaults()

    # Session → layers

    def show_object(self) -> None:
        """Bring the drawings of the active object back into the layers, for editing."""
        active = self.session.active
        frames = sorted(self.session.prompted_frames(active), key=repr)
        self._shown = {active}
        self.prompts.show(
            active, [(f, drawing) for f in frames for drawing in self.session.drawings(active, f)]
        )
        self.labels.selected_label = active
        self._set_defaults()

    def select(self, object_id: int) -> None:
        """Make an object the active one and show its prompts."""
        self.session.select(object_id)
        self.show_object()

    def go_to(self, object_id: int) -> None:
        """Move the sliders to a frame in which an object stands, unless one is shown."""
        frames = self.session.prompted_frames(object_id)
        if not frames:
            found = (each.frames for each in self.session.objects() if each.object_id == object_id)
            frames = set(next(found, ()))
        self.show_one_of(frames)

    def show_one_of(self, frames: Collection[FrameIndex]) -> None:
        """Move the sliders to the first of some frames, unless one of them is shown."""
        if frames and self.frame not in frames:
            self.show_frame(min(frames, key=lambda frame: tuple(i or 0 for i in frame)))

    def show_frame(self, frame: FrameIndex) -> None:
        """Move the sliders to a frame, unless a shape is being drawn."""
        if not self.is_drawing:
            go_to_frame(self.viewer, self.image, frame)

    def next_object(self) -> None:
        """Begin a new object."""
        self._link.note_ids()
        self.session.new_object()
        self.show_object()

    def select_at(self, point_world: Sequence[float]) -> None:
        """Make the object under the cursor the active one."""
        if object_id := self._object_at(point_world):
            self.select(object_id)

    def choose_at(self, point_world: Sequence[float]) -> None:
        """Choose the object under the cursor beside those that are chosen."""
        if object_id := self._object_at(point_world):
            self.also_chosen.emit(object_id)

    def _object_at(self, point_world: Sequence[float]) -> int:
        """The id under the cursor; 0 where there is none."""
        point_yx = self.point_in_frame(point_world)
        if point_yx is None or self.frame is None:
            return 0
        pixel = iter(int(np.floor(c + 0.5)) for c in point_yx)
        return int(self.labels.data[tuple(next(pixel) if i is None else i for i in self.frame)])

    def _select_shown(self, object_id: int) -> None:
        """Make an object active whose drawings the layers hold already."""
        self.session.select(object_id)
        self.labels.selected_label = object_id

    def _set_defaults(self, *, negative: bool = False) -> None:
        """What the next point or shape will belong to and mean."""
        if self.frame is None:
            return
        negative = negative or self.negative
        object_id = self.session.active
        is_taken = bool(self.session.prompted_frames(object_id))
        if self.one_object_per_prompt and is_taken and not negative:
            object_id = self.session.next_id()
        self.prompts.set_defaults(object_id, self.frame, negative=negative)

    # Labels

    def undo(self, layer: object = None) -> None:
        """Take back what was done last: a prompt, a stroke, a run over many frames."""
        if pending := self.session.pending():
            self.session.fail(max(pending, key=lambda request: request.generation))
            self.show_object()
        else:
            self._replay(self.session.undo)

    def redo(self, layer: object = None) -> None:
        """Do again what was undone last."""
        self._replay(self.session.redo)

    def _replay(self, replay: Callable[[], bool]) -> None:
        """Go a step back or forth, and show where it is to be seen or where it was begun."""
        before = dict(self.session.annotations())
        frames: set[FrameIndex] = set()
        sources: set[FrameIndex | None] = set()  # of what was propagated

        def note(*key: Any) -> None:
            frames.add(key[1])
            both = (before.get(key), self.session.current(*key))
            sources.update(each.source for each in both if each is not None)

        self.session.landed.connect(note)
        self.is_replaying = True
        try:
            replay()
        finally:
            self.is_replaying = False
            self.session.landed.disconnect(note)
        self.show_object()
        if self.frame is None or self.frame not in sources:
            self.show_one_of(frames)

    def promote(self, object_id: int) -> None:
        """Make room for an id that the labels' type could not hold."""
        self._link.promote(object_id)

    # Preview

    def show_preview(self, region: Region) -> None:
        """Show a region of the shown frame without writing it; an empty one hides what is shown."""
        is_shown = False
        if region and self.frame is not None:
            if self.preview not in self.viewer.layers:
                self._add_preview()
            show_region(self.preview, region, self.image, self.frame)
            is_shown = True
        if self.preview.visible != is_shown:  # napari draws again also if nothing changes
            self.preview.visible = is_shown

    def _add_preview(self) -> None:
        """The layer was deleted. What is in hand stays in hand."""
        self.preview = new_preview(self.image, self.session.stack)
        layers = self.viewer.layers
        active = layers.selection.active
        layers.insert(layers.index(self.labels) + 1, self.preview)
        layers.selection.active = active

    # Tools, mouse and keys

    def use(self, tool: str) -> None:
        """Take a tool in hand: point, rectangle, ellipse, polygon or path."""
        self.tool = tool
        layer = self.points if tool == "point" else self.shapes
        layer.visible = True
        self.viewer.layers.selection.active = layer
        self._set_mode()

    @property
    def tool_in_hand(self) -> str:
        """The tool that a click in the image is taken with; ``""`` if it would be no prompt."""
        layer = self.viewer.layers.selection.active
        if layer not in (self.points, self.shapes) or not layer.visible:
            return ""
        return next((tool for tool, mode in TOOL_MODES.items() if mode == layer.mode), "")

    def _on_hand(self, event: object = None) -> None:
        self._defer(self._tell_tool)

    def _tell_tool(self) -> None:
        if not self._closed and self.tool_in_hand != self._told_tool:
            self._told_tool = self.tool_in_hand
            self.tool_changed.emit(self._told_tool)

    def _set_mode(self) -> None:
        """Let napari draw with the tool in hand, unless there is no frame to draw in."""
        layer = self.points if self.tool == "point" else self.shapes
        layer.mode = "pan_zoom" if self.frame is None else TOOL_MODES[self.tool]

    def set_negative(self, negative: bool) -> None:
        """Whether the next points and scribbles say where the object is not."""
        self.negative = negative
        self._set_defaults()

    def set_one_object_per_prompt(self, on: bool) -> None:
        """Whether each box and each positive point begins an object of its own."""
        self.one_object_per_prompt = on
        self._set_defaults()

    def _on_press(self, layer: Layer, event: Any) -> Iterator[None]:
        """Runs before napari adds the point or shape: button and modifiers decide what it means."""
        if "Shift" in event.modifiers and layer.mode == "add":
            with layer.events.mode.blocker(self._on_hand):
                layer.mode = "pan_zoom"  # no point is added
                yield
                while event.type == "mouse_move":
                    yield
                layer.mode = "add"
            choose = self.choose_at if "Control" in event.modifiers else self.select_at
            choose(event.position)
            return
        # napari took over the features of whatever was selected last
        self._set_defaults(negative=event.button == RIGHT_BUTTON or "Control" in event.modifiers)

    def _on_move(self, viewer: ViewerModel, event: Any) -> None:
        self.cursor_moved.emit(self.point_in_frame(event.position))

    # Life

    def _connect(self) -> None:
        self.viewer.dims.events.connect(self._on_dims)
        self.viewer.layers.events.removed.connect(self._on_removed)
        self.viewer.mouse_move_callbacks.append(self._on_move)
        self.image.events.data.connect(self._on_image_data)
        self.labels.events.data.connect(self._on_labels_data)
        self.labels.events.selected_label.connect(self._on_selected_label)
        self.viewer.layers.selection.events.active.connect(self._on_hand)
        for layer in (self.points, self.shapes):
            layer.events.mode.connect(self._on_hand)
            layer.events.visible.connect(self._on_hand)
            layer.events.data.connect(self._on_prompts)
            layer.mouse_drag_callbacks.insert(0, self._on_press)
        for layer in (self.labels, self.points, self.shapes):
            layer.bind_key("Control-Z", self.undo, overwrite=True)
            layer.bind_key("Control-Shift-Z", self.redo, overwrite=True)

    def _on_prompts(self, event: Any) -> None:
        action = getattr(event, "action", "")
        self.is_drawing = action == "adding" and event.source is self.shapes
        if not self.prompts.is_filling and action not in UNFINISHED:
            self._defer(self.snapshot)

    def _on_image_data(self, event: object = None) -> None:
        """Other pixels in the same layer: what was embedded of the old ones is never used again."""
        try:
            stack = stack_of(self.image)
        except SamError as error:
            self.notice.emit(str(error))
            self.close()
            return
        if stack.shape != self.session.stack.shape:
            self.close()
            return
        self.session.stack = stack
        self.frame_changed.emit(self.frame)

    def _on_labels_data(self, event: object = None) -> None:
        if tuple(self.labels.data.shape) != self.session.stack.shape:
            self.notice.emit("The labels have another size than the image now: new ones are made.")
            self.close()
        elif self.labels.data is not self.session.labels:
            self.session.take_labels(self.labels.data)
            self.frame_changed.emit(self.frame)

    def _on_selected_label(self, event: object = None) -> None:
        """A label picked with napari's own tools is the object that prompts go to as well."""
        picked = self.labels.selected_label
        if picked > 0 and picked != self.session.active:
            self.select(picked)

    def _on_removed(self, event: Any) -> None:
        if event.value in (self.image, self.labels):
            self._defer(self.close)  # napari may be in the midst of removing several
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
        self._closed = True
        self.viewer.dims.events.disconnect(self._on_dims)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.viewer.layers.selection.events.active.disconnect(self._on_hand)
        if self._on_move in self.viewer.mouse_move_callbacks:
            self.viewer.mouse_move_callbacks.remove(self._on_move)
        self.image.events.data.disconnect(self._on_image_data)
        self.labels.events.data.disconnect(self._on_labels_data)
        self._link.close()
        self.labels.events.selected_label.disconnect(self._on_selected_label)
        for layer in (self.labels, self.points, self.shapes):
            for key in ("Control-Z", "Control-Shift-Z"):
                layer.bind_key(key, None, overwrite=True)
        self._discard([self.points, self.shapes, self.preview])
        self.closed.emit()


def remove_layers(viewer: ViewerModel, layers: Iterable[Layer]) -> None:
    """Take layers out of a viewer, if they are still there."""
    for layer in layers:
        if layer in viewer.layers:
            viewer.layers.remove(layer)


def go_to_frame(viewer: ViewerModel, image: Image, frame: FrameIndex) -> None:
    """Move the sliders to a frame of an image."""
    point_world = image.data_to_world([i or 0 for i in frame])
    offset = viewer.dims.ndim - len(frame)
    for axis, i in enumerate(frame):
        if i is not None:
            viewer.dims.set_point(axis + offset, point_world[axis])


def stack_of(image: Image) -> FrameStack:
    """An image layer's frames. Colours are what the layer says, never guessed from the shape."""
    levels = list(image.data) if image.multiscale else image.data
    return FrameStack.from_array(levels, rgb=bool(image.rgb))
