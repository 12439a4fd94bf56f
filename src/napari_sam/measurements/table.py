"""Objects measured, frame by frame: a table with a row an object and frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_sam.engine import REVIEW_COLUMNS, FrameError, FrameStack, Labelled, Runs

from .intensities import intensities
from .options import MeasureOptions
from .shapes import Columns, shapes
from .units import PIXEL, Units, short
from .volumes import volumes

OBJECT = "object_id"


def measure(
    labels: Any,
    image: Any = None,
    options: MeasureOptions | None = None,
    *,
    axes: str | None = None,
    scale: Sequence[float] | None = None,
    units: str | Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Measure all objects.

    Parameters
    ----------
    labels
        Ids ``(…, H, W)``, 0 for the background; or a :class:`Labelled`, which says the rest.
        A stack is read frame by frame.
    image
        For intensities: an array of the shape of the labels, perhaps with one more axis of
        channels; or a :class:`FrameStack`, whose chosen channels count.
    axes, scale, units
        As in :meth:`Labelled.of`: ``measure(labels, image, scale=0.2, units="micrometer")``.
    progress
        Called as ``progress(done, total)`` after every frame.

    Returns
    -------
    A row for each object and frame. The columns say their unit: ``area_um2``, or ``area_px2``
    where no size of a pixel is known.

    Raises
    ------
    SamError
        If labels and image, axes or sizes do not fit.
    """
    parts = list(
        measure_frames(
            *(labels, image, options),
            axes=axes,
            scale=scale,
            units=units,
            progress=progress,
        )
    )
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame({OBJECT: []})


def measure_frames(
    labels: Any,
    image: Any = None,
    options: MeasureOptions | None = None,
    *,
    axes: str | None = None,
    scale: Sequence[float] | None = None,
    units: str | Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[pd.DataFrame]:
    """As :func:`measure`, a table a frame (or volume): of a long stack only one is in memory."""
    options = options or MeasureOptions()
    if isinstance(labels, Labelled):
        objects = labels
    else:
        objects = Labelled.of(labels, axes=axes, scale=scale, units=units)
    n_whole = _axes_of_objects(objects, options)
    stack = None if image is None else _stack(image, objects)
    sized = Units.of(objects.scale[-n_whole:], objects.units[-n_whole:])
    wanted = list(objects.positions(n_whole))
    for done, positions in enumerate(wanted, 1):
        pixels = objects.at(positions)
        runs = Runs.of(pixels)
        found: Columns = {OBJECT: runs.ids}
        found |= _places(objects, positions, len(runs))
        found |= _known(objects, positions, runs.ids)
        found |= shapes(pixels, runs, sized) if n_whole == 2 else volumes(pixels, runs, sized)
        for values, ending in _channels(stack, positions):
            found |= intensities(*(pixels, runs, values), options.background, options.ring, ending)
        if progress is not None:
            progress(done, len(wanted))
        yield pd.DataFrame(found)


def _axes_of_objects(objects: Labelled, options: MeasureOptions) -> int:
    """Whether objects are measured on two axes or on three."""
    if options.each is None:
        return 3 if objects.has_depth else 2
    if options.each == "volume" and len(objects.shape) < 3:
        raise FrameError(
            f"Labels of shape {objects.shape} are no volume: they have one frame. Measure each "
            "frame."
        )
    return 3 if options.each == "volume" else 2


def _places(objects: Labelled, positions: tuple[int, ...], n: int) -> dict[str, Any]:
    """Where on the leading axes: a column an axis, and the time where its unit is known."""
    columns: dict[str, Any] = {}
    about = zip(objects.leading, objects.scale, objects.units, positions, strict=False)
    for name, size, unit, at in about:
        columns[name] = np.full(n, at)
        if name == "t" and short(unit) != PIXEL:
            columns[f"time_{short(unit)}"] = np.full(n, at * size)
    return columns


def _known(objects: Labelled, positions: tuple[int, ...], ids: NDArray[np.int64]) -> Columns:
    """Class and further facts of each object; of a volume's, those of the slice that has most."""
    columns: Columns = {}
    if objects.classes:
        columns["class"] = np.array([objects.classes.get(i, "") for i in ids.tolist()], object)
    if objects.reviews:
        rows_of = [objects.reviews.get(i) for i in ids.tolist()]
        for name in REVIEW_COLUMNS:
            texts = ["" if each is None else each.columns[name] for each in rows_of]
            columns[name] = np.array(texts, object)
    if not objects.facts:
        return columns
    names = list(dict.fromkeys(name for row in objects.facts.values() for name in row))
    rows: list[Mapping[str, Any]] = []
    inner = objects.shape[len(positions) : -2]
    for object_id in ids.tolist():
        keys = [(object_id, (*positions, *at, None, None)) for at in np.ndindex(*inner)]
        rows.append(_worst([objects.facts[key] for key in keys if key in objects.facts]))
    for name in names:
        values = [row.get(name) for row in rows]
        numeric = all(value is None or isinstance(value, int | float) for value in values)
        if numeric:
            columns[name] = np.array([math.nan if v is None else v for v in values], float)
        else:
            columns[name] = np.array(["" if v is None else v for v in values], object)
    return columns


def _worst(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of several slices of an object the one with the lowest score."""
    return min(rows, key=lambda r: math.inf if r.get("score") is None else r["score"], default={})


def _stack(image: Any, objects: Labelled) -> FrameStack:
    if isinstance(image, FrameStack):
        stack = image
    else:
        array = image if hasattr(image, "shape") else np.asarray(image)
        stack = FrameStack.from_array(array, axes=_letters(tuple(array.shape), objects), rgb=False)
    if stack.shape != objects.shape:
        raise FrameError(
            f"The image has the shape {stack.shape}, the labels {objects.shape}. Give the image "
            "that was labelled, at its full resolution."
        )
    return stack


def _letters(shape: tuple[int, ...], objects: Labelled) -> str | None:
    """The axes of an array: those of the labels, and perhaps one of channels, the last or first."""
    if len(shape) == len(objects.shape) + 1:
        for axis in (len(shape) - 1, *range(len(shape) - 1)):
            if shape[:axis] + shape[axis + 1 :] == objects.shape:
                return objects.axes[:axis] + "C" + objects.axes[axis:]
    return objects.axes if len(shape) == len(objects.shape) else None


def _channels(
    stack: FrameStack | None, positions: tuple[int, ...]
) -> Iterator[tuple[NDArray[Any], str]]:
    """The pixels of each channel of a frame or volume, and the ending of its columns."""
    if stack is None:
        return
    where: tuple[int | slice, ...] = (*positions, *(slice(None),) * (stack.ndim - len(positions)))
    if stack.colour_axis is None:
        yield np.asarray(stack.levels[0][where]), ""
        return
    for channel in stack.channels:
        at = list(where)
        at.insert(stack.colour_axis, channel)
        yield np.asarray(stack.levels[0][tuple(at)]), f"_c{channel}"
