"""Rows of Points and Shapes ↔ drawings: what a row belongs to and means is in its features.

A row has three features: the object's id, whether it is positive, and the two axes that were on
screen when it was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from napari.layers import Image, Layer, Points, Shapes
from numpy.typing import NDArray

from napari_sam.engine import FrameIndex, FrameStack, SamError
from napari_sam.session import Drawing

from .own_layers import placement
from .world import to_other

if TYPE_CHECKING:
    import pandas as pd

POSITIVE, NEGATIVE = "positive", "negative"
COLOURS = {POSITIVE: "#2ee66b", NEGATIVE: "#ff4d4d"}
PLACES = 2  # decimals of a pixel: a drawing put back and read again is the same drawing

Placed: TypeAlias = tuple[FrameIndex, Drawing]


class PromptLayers:
    """A Points and a Shapes layer on an image, and the drawings in them.

    Parameters
    ----------
    explain
        Given what is wrong with a row that no prompt can be made of.
    """

    def __init__(self, image: Image, stack: FrameStack, explain: Callable[[str], object]) -> None:
        self.points = new_points(image, stack)
        self.shapes = new_shapes(image, stack)
        self.is_filling = False  # the rows are changed from here, not by the user
        self._image, self._explain = image, explain

    def read(self, stack: FrameStack, active: int) -> Iterator[tuple[int, FrameIndex, Drawing]]:
        """Object, frame and drawing of every row; those without an object are the active one's."""
        points = zip(self.points.data, self.points.features.itertuples(), strict=False)
        shapes = zip(
            self.shapes.data,
            self.shapes.shape_type,
            self.shapes.features.itertuples(),
            strict=False,  # a lasso that was too small leaves one row of features more
        )
        rows = [(self.points, "point", [point], row) for point, row in points]
        rows += [
            (self.shapes, "path" if kind == "line" else kind, vertices, row)
            for vertices, kind, row in shapes
        ]
        for layer, kind, vertices, row in rows:
            try:
                frame, drawing = self._placed(layer, kind, vertices, row, stack)
            except SamError as error:
                self._explain(str(error))
                continue
            if not drawing.is_accident:
                yield active if math.isnan(row.object) else int(row.object), frame, drawing

    def _placed(
        self, layer: Layer, kind: Any, vertices: Any, row: Any, stack: FrameStack
    ) -> Placed:
        """A row as a drawing in a frame of the stack."""
        displayed = read_view(row.view)
        located = [
            stack.locate(to_other(layer, self._image, vertex), displayed=displayed)
            for vertex in vertices
        ]
        vertices_yx = tuple((round(y, PLACES), round(x, PLACES)) for _, (y, x) in located)
        return located[0][0], Drawing(kind, vertices_yx, label=int(row.label != NEGATIVE))

    def show(self, object_id: int, drawings: Sequence[Placed]) -> None:
        """Let the layers hold the drawings of one object, and nothing else."""
        points = [placed for placed in drawings if placed[1].kind == "point"]
        shapes = [placed for placed in drawings if placed[1].kind != "point"]
        self.is_filling = True
        try:
            self.points.selected_data = set()
            vertices = [_to_data(*placed)[0] for placed in points]
            self.points.data = np.array(vertices).reshape(-1, self.points.ndim)
            self.points.features = _features_of(object_id, points)
            self.points.selected_data = set()
            self.shapes.selected_data = set()
            self.shapes.data = []
            for frame, drawing in shapes:
                self.shapes.add(_to_data(frame, drawing), shape_type=drawing.kind)
            self.shapes.features = _features_of(object_id, shapes)
        finally:
            self.is_filling = False

    def set_defaults(self, object_id: int, frame: FrameIndex, *, negative: bool) -> None:
        """Set the object and the polarity of the next point or shape, where they are others."""
        polarity = NEGATIVE if negative else POSITIVE
        wanted = {"object": object_id, "label": polarity, "view": write_view(frame)}
        for layer in (self.points, self.shapes):
            now = layer.feature_defaults
            if any(now[name][0] != value for name, value in wanted.items()):
                layer.feature_defaults = wanted


def new_points(image: Image, stack: FrameStack) -> Points:
    """An empty layer for clicks, green for positive and red for negative."""
    return Points(
        ndim=stack.ndim,
        name=f"{image.name} points",
        features=row_features([], [], []),
        face_color="label",
        face_color_cycle=COLOURS,
        border_color="white",
        size=max(4.0, max(stack.frame_shape) / 60),
        canvas_size_limits=(0, 14),  # where none is shown, napari draws one of size 0
        **placement(image, stack.ndim),
    )


def new_shapes(image: Image, stack: FrameStack) -> Shapes:
    """An empty layer for boxes, outlines and scribbles."""
    return Shapes(
        ndim=stack.ndim,
        name=f"{image.name} shapes",
        features=row_features([], [], []),
        face_color="transparent",
        edge_color="#ffd93d",
        edge_width=max(1.0, max(stack.frame_shape) / 400),
        **placement(image, stack.ndim),
    )


def row_features(objects: list[int], labels: list[str], views: list[str]) -> pd.DataFrame:
    """Features of rows of a prompt layer."""
    import pandas as pd  # a quarter of a second that the window need not wait for

    return pd.DataFrame(
        {
            "object": np.array(objects, np.int64),
            "label": pd.Categorical(labels, categories=[POSITIVE, NEGATIVE]),
            "view": np.array(views, object),
        }
    )


def axes_of(frame: FrameIndex) -> tuple[int, int]:
    """The two axes that span a frame."""
    y, x = (axis for axis, i in enumerate(frame) if i is None)
    return y, x


def write_view(frame: FrameIndex) -> str:
    """These axes as a row of a prompt layer remembers them: ``"1 2"``."""
    y, x = axes_of(frame)
    return f"{y} {x}"


def read_view(view: str) -> tuple[int, int]:
    """The axes that :func:`write_view` wrote."""
    y, x = view.split()
    return int(y), int(x)


def _features_of(object_id: int, drawings: Sequence[Placed]) -> pd.DataFrame:
    return row_features(
        objects=[object_id] * len(drawings),
        labels=[POSITIVE if drawing.label else NEGATIVE for _, drawing in drawings],
        views=[write_view(frame) for frame, _ in drawings],
    )


def _to_data(frame: FrameIndex, drawing: Drawing) -> NDArray[np.float64]:
    """A drawing's vertices with a coordinate for every axis of the data, (N, ndim)."""
    vertices = [iter(vertex) for vertex in drawing.vertices]
    return np.array([[next(v) if i is None else i for i in frame] for v in vertices], float)
