"""The part of a frame that a shape bounds: drawn for it, in a layer of the user's, or a prompt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer, Shapes
from psygnal import Signal

from napari_sam.engine import FrameIndex, Outline, SamError
from napari_sam.session import Drawing, Session

from .deferring import Defer
from .own_layers import placement
from .prompt_events import UNFINISHED
from .world import to_other

CLOSED = ("rectangle", "polygon", "ellipse")
CORNERS = 64  # of an ellipse's outline
COLOUR = "#4dd2ff"
NOTHING_DRAWN = (
    "No box or polygon is drawn. Press “Draw a box” and drag one over the image, or draw it in a "
    "Shapes layer."
)
NO_AREA = "The box drawn has no area. Drag from corner to corner to draw it."
OUTSIDE = "What is drawn lies outside of the frame shown. Draw it over the image."


class Area:
    """A Shapes layer to draw in, added when it is first asked for.

    Parameters
    ----------
    prompts
        The layer of prompts: no shape in it counts but those of the object in hand.
    defer
        Runs a function when napari is done with its own event.
    """

    changed = Signal()  # something else is drawn in its own layer

    def __init__(
        self, viewer: ViewerModel, image: Image, prompts: Shapes, session: Session, defer: Defer
    ) -> None:
        self._viewer, self._image, self._prompts = viewer, image, prompts
        self._session, self._defer = session, defer
        n = session.stack.ndim
        self.layer = Shapes(
            ndim=n,
            name=f"{image.name} area",
            face_color="transparent",
            edge_color=COLOUR,
            edge_width=prompts.current_edge_width,
            **placement(image, n),
        )
        self.layer.events.data.connect(self._on_data)
        self._before: Layer | None = None  # the layer in hand before a box is dragged

    def close(self) -> None:
        """Hear of the layer no more."""
        self.layer.events.data.disconnect(self._on_data)
        self._before = None

    @property
    def is_drawing(self) -> bool:
        """Whether a box can be dragged now."""
        layers = self._viewer.layers
        return layers.selection.active is self.layer and self.layer.mode == "add_rectangle"

    def draw(self) -> None:
        """Let the user drag a box, in place of what was drawn before; then the tool is back."""
        active = self._viewer.layers.selection.active
        if active is not self.layer:
            is_own = isinstance(active, Shapes) and active is not self._prompts
            self._before = None if is_own else active  # in hand, the user's own would count first
        if self.layer not in self._viewer.layers:
            self._viewer.layers.append(self.layer)
        self.layer.visible = True
        self.layer.selected_data = set()
        self.layer.data = []
        self._viewer.layers.selection.active = self.layer
        self.layer.mode = "add_rectangle"

    def outline(self, frame: FrameIndex) -> Outline:
        """The outline drawn last, yx in pixels of a frame.

        Raises
        ------
        SamError
            If nothing is drawn, or what is drawn has no area or lies outside of the frame.
        """
        drawing = next(self._drawn(frame), None)
        if drawing is None:
            raise SamError(NOTHING_DRAWN)
        if drawing.is_accident or not np.ptp(drawing.vertices, axis=0).all():
            raise SamError(NO_AREA)
        vertices = np.array(drawing.vertices)
        if drawing.kind == "ellipse":
            turns = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)[:, None]
            centre = vertices.mean(0)
            along, across = (vertices[1] - vertices[0]) / 2, (vertices[3] - vertices[0]) / 2
            vertices = centre + np.cos(turns) * along + np.sin(turns) * across
        shape = self._session.stack.frame_shape_of(frame)
        if (vertices.max(0) < 0).any() or (vertices.min(0) > np.subtract(shape, 1)).any():
            raise SamError(OUTSIDE)
        return tuple((float(y), float(x)) for y, x in vertices)

    def _drawn(self, frame: FrameIndex) -> Iterator[Drawing]:
        """Closed shapes: of the active layer, the own one, the user's others, then prompts."""
        layers = self._viewer.layers
        active = layers.selection.active
        own = (active, self.layer, *reversed(layers))
        for layer in own:
            if isinstance(layer, Shapes) and layer is not self._prompts and layer in layers:
                yield from self._in_layer(layer, frame)
        prompts = self._session.drawings(self._session.active, frame)
        yield from (each for each in reversed(prompts) if each.kind in CLOSED)

    def _in_layer(self, layer: Shapes, frame: FrameIndex) -> Iterator[Drawing]:
        shapes = list(zip(layer.data, layer.shape_type, strict=True))
        for vertices, kind in reversed(shapes):
            if kind in CLOSED:
                yield Drawing(kind, tuple(self._placed(layer, v, frame) for v in vertices))

    def _placed(self, layer: Shapes, vertex: Any, frame: FrameIndex) -> tuple[float, float]:
        """A vertex as yx in a frame, wherever on the other axes it was drawn."""
        point = np.zeros(len(frame))
        placed = to_other(layer, self._image, vertex)[-len(frame) :]
        point[-len(placed) :] = placed
        y, x = (float(at) for at, i in zip(point, frame, strict=True) if i is None)
        return y, x

    def _on_data(self, event: Any) -> None:
        if getattr(event, "action", "") not in UNFINISHED:
            self._defer(self._keep_last)
        if getattr(event, "action", "") == "added" and self.is_drawing:
            self._defer(self._take_tool_back)

    def _keep_last(self) -> None:
        """A box drawn takes the place of the one before."""
        if len(self.layer.data) > 1:
            self.layer.selected_data = set(range(len(self.layer.data) - 1))
            self.layer.remove_selected()
        self.changed.emit()

    def _take_tool_back(self) -> None:
        """A click after the drag is for the tool again, and draws no other box."""
        if self.is_drawing and self._before in self._viewer.layers:
            self.layer.selected_data = set()
            self._viewer.layers.selection.active = self._before
