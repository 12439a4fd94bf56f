"""Any Points, Shapes or Labels layer as prompts, through the transforms of both layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from napari.layers import Labels, Layer, Points, Shapes
from numpy.typing import NDArray

from napari_sam.engine import (
    FrameStack,
    LeftOut,
    ObjectPrompts,
    PromptError,
    Prompts,
    PromptSet,
    prompts_of_labels,
)
from napari_sam.engine.frames import round_half_up
from napari_sam.session import Drawing

from .world import factors

PromptLayer: TypeAlias = Points | Shapes | Labels
Read: TypeAlias = Callable[[], PromptSet]

NUMBERS, CLASSES, SCORES = ("object_id", "track_id", "label"), ("class",), ("score", "confidence")
KINDS = {"line": "path"}  # napari's names of shapes that a drawing calls otherwise
FURTHEST = 1e-6  # pixels, of a grid that counts as the image's own


@dataclass(frozen=True, eq=False)
class Between:
    """From the data of a layer to those of an image: ``points @ matrix.T + offset``."""

    matrix: NDArray[np.float64]  # (ndim of the image, ndim of the layer)
    offset: NDArray[np.float64]

    @classmethod
    def of(cls, layer: Layer, image: Layer) -> Between:
        """Of two layers in one world, on the last axes of both."""
        origin = _in_image(layer, image, np.zeros(layer.ndim))
        steps = [_in_image(layer, image, each) - origin for each in np.eye(layer.ndim)]
        return cls(np.stack(steps, axis=1), origin)

    def __call__(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Positions ``(N, ndim of the layer)`` in the image, ``(N, ndim of the image)``."""
        return np.asarray(points, np.float64) @ self.matrix.T + self.offset

    @property
    def names_frame(self) -> bool:
        """Whether a layer has as many axes as the image, so that its frame is known."""
        n_image, n_layer = self.matrix.shape
        return bool(n_layer >= n_image)

    @property
    def is_same_grid(self) -> bool:
        """Whether each pixel of the layer is one of the image."""
        n_image, n_layer = self.matrix.shape
        same = np.eye(n_image, n_layer, k=n_layer - n_image)
        off = max(np.abs(self.matrix - same).max(), np.abs(self.offset).max())
        return bool(off < FURTHEST)


def read_layer(layer: PromptLayer, image: Layer, stack: FrameStack) -> Read:
    """A function that reads a layer as prompts for an image; any thread may call it.

    Points are objects each; rectangles are boxes, other closed shapes masks, lines and paths points
    along them; each object of labels is one. Columns ``object_id``, ``class`` and ``score`` of the
    layer's features are kept.

    Parameters
    ----------
    image
        A layer with the axes and the place of the frames: the labels that are annotated.
    """
    between = Between.of(layer, image)
    if isinstance(layer, Labels):
        data = layer.data[0] if layer.multiscale else layer.data
        return partial(_read_labels, data, between, stack, layer.name)
    features = {
        str(name).lower(): layer.features[name].to_numpy(copy=True) for name in layer.features
    }
    if isinstance(layer, Points):
        given: Iterator[ObjectPrompts | LeftOut] = _points(
            np.array(layer.data), between, stack, features
        )
    else:
        shapes = [
            (str(kind), np.array(vertices))
            for kind, vertices in zip(layer.shape_type, layer.data, strict=True)
        ]
        given = _shapes(shapes, between, stack, features)
    return partial(PromptSet.of, given, layer.name)


def _in_image(layer: Layer, image: Layer, point: NDArray[np.float64]) -> NDArray[np.float64]:
    n = min(layer.ndim, image.ndim)
    world = np.zeros(image.ndim)
    by_units = factors(layer.units[-n:], image.units[-n:])
    world[-n:] = np.asarray(layer.data_to_world(point))[-n:] * by_units
    return np.asarray(image.world_to_data(world))


def _points(
    points: NDArray[Any],
    between: Between,
    stack: FrameStack,
    features: Mapping[str, NDArray[Any]],
) -> Iterator[ObjectPrompts | LeftOut]:
    for row, place in enumerate(between(points)):
        where = f"point {row}"
        try:
            at, ((y, x),) = _located(place[None], between, stack)
            prompts = Prompts.from_points([(y, x)])
            yield ObjectPrompts(prompts, at=at, where=where, **_facts(features, row))
        except PromptError as error:
            yield LeftOut(where, str(error))


def _shapes(
    shapes: list[tuple[str, NDArray[Any]]],
    between: Between,
    stack: FrameStack,
    features: Mapping[str, NDArray[Any]],
) -> Iterator[ObjectPrompts | LeftOut]:
    for row, (kind, vertices) in enumerate(shapes):
        where = f"shape {row}"
        try:
            at, corners = _located(between(vertices), between, stack)
            drawing = Drawing(KINDS.get(kind, kind), tuple(map(tuple, corners.tolist())))  # type: ignore[arg-type]
            prompts = drawing.prompts(stack.frame_shape)
            yield ObjectPrompts.of(prompts, at=at, where=where, **_facts(features, row))
        except PromptError as error:
            yield LeftOut(where, str(error))


def _located(
    places: NDArray[np.float64], between: Between, stack: FrameStack
) -> tuple[tuple[int, ...] | None, NDArray[np.float64]]:
    """The frame of some positions in the image, if it is known, and where in it they are."""
    if not np.isfinite(places).all():
        raise PromptError("it has no finite coordinates")
    yx = places[:, list(stack.displayed)]
    if not between.names_frame:
        return None, yx
    leading = [axis for axis in range(stack.ndim) if axis not in stack.displayed]
    frames = {tuple(map(round_half_up, place)) for place in places[:, leading].tolist()}
    if len(frames) > 1:
        raise PromptError("it spans several frames. Draw it within one")
    return frames.pop(), yx


def _facts(features: Mapping[str, NDArray[Any]], row: int) -> dict[str, Any]:
    """The number, class and score of a row, as far as the features have them."""
    number, name, score = (
        next((features[column][row] for column in columns if column in features), None)
        for columns in (NUMBERS, CLASSES, SCORES)
    )
    object_id, sure = _finite(number), _finite(score)
    return {
        "object_id": int(object_id) if object_id and object_id == int(object_id) > 0 else 0,
        "class_name": name if isinstance(name, str) else "",
        "score": sure,
    }


def _finite(value: object) -> float | None:
    is_number = isinstance(value, int | float | np.number) and bool(np.isfinite(value))
    return float(value) if is_number else None  # type: ignore[arg-type]


def _read_labels(data: Any, between: Between, stack: FrameStack, name: str) -> PromptSet:
    if between.is_same_grid and tuple(data.shape) in (stack.shape, stack.frame_shape):
        return prompts_of_labels(data, stack, source=name)
    return prompts_of_labels(_Resampled(data, between, stack), stack, source=name)


class _Resampled:
    """Labels on another grid as the image's pixels see them: the label at the centre of each."""

    def __init__(self, data: Any, between: Between, stack: FrameStack) -> None:
        if not between.names_frame and data.ndim != 2:
            raise PromptError(
                f"Labels of {data.ndim} axes cannot be laid on an image of {stack.ndim}. Give "
                "labels of one frame, or of the whole stack."
            )
        self.shape = stack.shape if between.names_frame else stack.frame_shape
        self.dtype = data.dtype
        n = len(self.shape)
        self._data = np.asarray(data)
        # The layer's pixel of a pixel of the image; axes that the image has not are at 0
        self._matrix = np.linalg.pinv(between.matrix[-n:])
        self._offset = -self._matrix @ between.offset[-n:]

    def __getitem__(self, at: Any) -> NDArray[Any]:
        leading = () if at is ... else tuple(at)
        height, width = self.shape[-2:]
        grid = np.stack(np.meshgrid(*map(np.arange, (height, width)), indexing="ij"), axis=-1)
        fixed = np.broadcast_to(np.array(leading, float), (height, width, len(leading)))
        places = np.concatenate([fixed, grid], axis=-1) @ self._matrix.T + self._offset
        pixels = np.floor(places + 0.5).astype(np.intp)
        inside = ((pixels >= 0) & (pixels < self._data.shape)).all(axis=-1)
        found = np.zeros((height, width), self.dtype)
        found[inside] = self._data[tuple(pixels[inside].T)]
        return found
