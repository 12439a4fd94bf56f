"""The prompt tools: napari's modes of the Points and the Shapes layer, buttons and modifiers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from napari.components import ViewerModel
from napari.layers import Layer, Points, Shapes
from psygnal import Signal

from .deferring import Defer

RIGHT_BUTTON = 2
LEAST_DRAG = 3.0  # pixels of the screen; napari makes a box of a click, too
DRAGGED = ("rectangle", "ellipse")
TOOL_MODES = {
    "point": "add",
    "rectangle": "add_rectangle",
    "ellipse": "add_ellipse",
    "polygon": "add_polygon_lasso",
    "path": "add_path",
}


class Tools:
    """Which tool is active, and what a press of the mouse means.

    Parameters
    ----------
    viewer, points, shapes
        The prompt layers, and the viewer they are in.
    defer
        Runs a function when napari is done with its own event.
    """

    changed = Signal(str)  # the active tool, or "" while a click is not a prompt
    pressed = Signal(bool)  # before napari adds a point or shape: whether it is negative
    picked = Signal(object, bool)  # world position of an object to choose; beside others?

    def __init__(self, viewer: ViewerModel, points: Points, shapes: Shapes, defer: Defer) -> None:
        self._viewer, self._points, self._shapes, self._defer = viewer, points, shapes, defer
        self.tool = "point"
        self.was_click = False  # the last box or ellipse was drawn without a drag
        self._told = ""
        viewer.layers.selection.events.active.connect(self._on_event)
        for layer in (points, shapes):
            layer.events.mode.connect(self._on_event)
            layer.events.visible.connect(self._on_event)
            layer.mouse_drag_callbacks.insert(0, self._on_press)

    def close(self) -> None:
        """Disconnect from the viewer."""
        self._viewer.layers.selection.events.active.disconnect(self._on_event)
        for layer in (self._points, self._shapes):
            layer.mouse_drag_callbacks.remove(self._on_press)
        self._told = self.active  # nothing more is told

    def use(self, tool: str, *, can_draw: bool) -> None:
        """Make a tool the active one: point, rectangle, ellipse, polygon or path."""
        self.tool = tool
        self.layer.visible = True
        self._viewer.layers.selection.active = self.layer
        self.set_mode(can_draw=can_draw)

    @property
    def layer(self) -> Layer:
        """The layer that the tool draws in."""
        return self._points if self.tool == "point" else self._shapes

    @property
    def active(self) -> str:
        """The tool that a click in the image is taken with; ``""`` if it would be no prompt."""
        layer = self._viewer.layers.selection.active
        if layer not in (self._points, self._shapes) or not layer.visible:
            return ""
        return next((tool for tool, mode in TOOL_MODES.items() if mode == layer.mode), "")

    def set_mode(self, *, can_draw: bool) -> None:
        """Let napari draw with the tool, unless there is no frame to draw in."""
        self.layer.mode = TOOL_MODES[self.tool] if can_draw else "pan_zoom"

    def tell(self) -> None:
        """Emit the active tool if it is another one than told last."""
        if self.active != self._told:
            self._told = self.active
            self.changed.emit(self._told)

    def _on_event(self, event: object = None) -> None:
        self._defer(self.tell)

    def _on_press(self, layer: Layer, event: Any) -> Iterator[None]:
        """Runs before napari adds the point or shape."""
        if "Shift" in event.modifiers and layer.mode == "add":
            with layer.events.mode.blocker(self._on_event):
                layer.mode = "pan_zoom"  # no point is added
                yield
                while event.type == "mouse_move":
                    yield
                layer.mode = "add"
            self.picked.emit(event.position, "Control" in event.modifiers)
            return
        self.pressed.emit(event.button == RIGHT_BUTTON or "Control" in event.modifiers)
        if self.active in DRAGGED:
            start, way = event.pos, 0.0
            yield
            while event.type == "mouse_move":
                way = max(way, math.dist(start, event.pos))
                yield
            self.was_click = way < LEAST_DRAG
