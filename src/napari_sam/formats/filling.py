"""Polygons become pixels: all of a frame at once, by the even-odd rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import OUTSIDE, ObjectPrompts, PromptError

Vertices = NDArray[np.float64]
"""``(N, 2)`` y and x in corners of pixels: the first pixel reaches from 0 to 1."""


def fill(frame: NDArray[Any], rings: Sequence[Vertices], owners: Sequence[int]) -> int:
    """Write objects into the labels of a frame, which change.

    A pixel is of an object if its centre is inside an odd number of its rings: so a hole is one. Of
    objects that overlap the first keeps the pixels, and so does what was there.

    Parameters
    ----------
    frame
        ``(H, W)``; what is outside of it is left out.
    rings, owners
        Polygons, and the object of each; rings of one object follow one another.

    Returns
    -------
    How many pixels another object had already.
    """
    rows, starts, stops, ids = _spans(rings, owners, frame.shape)
    lengths = stops - starts
    if not lengths.sum():
        return 0
    first = rows * frame.shape[1] + starts
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    places = np.repeat(first, lengths) + within
    values = np.repeat(ids, lengths)
    flat = frame.reshape(-1)
    free = flat[places] == 0
    # Of equal places the first one stays
    taken, at = np.unique(places[free], return_index=True)
    flat[taken] = values[free][at]
    return len(places) - len(taken)


def filled(rings: Sequence[Vertices], frame_shape: tuple[int, ...], **known: Any) -> ObjectPrompts:
    """An object prompted by the pixels in some rings, with what else is known of it.

    Raises
    ------
    PromptError
        If they hold no pixel of the frame.
    """
    corners = np.concatenate(list(rings)) if rings else np.zeros((1, 2))
    top, left = np.clip(np.floor(corners.min(axis=0)), 0, frame_shape).astype(int).tolist()
    bottom, right = np.clip(np.ceil(corners.max(axis=0)), 0, frame_shape).astype(int).tolist()
    if top >= bottom or left >= right:
        raise PromptError(OUTSIDE)
    window = np.zeros((bottom - top, right - left), np.uint8)
    fill(window, [ring - (top, left) for ring in rings], [1] * len(rings))
    return ObjectPrompts.of_mask(window != 0, top, left, **known)


def fill_frames(
    labels: NDArray[Any],
    shapes: Sequence[Sequence[Vertices]],
    owners: Sequence[int],
    places: Sequence[tuple[int, ...]],
) -> int:
    """Write the rings of objects into their frames; how many pixels several of them wanted.

    Parameters
    ----------
    places
        The position of each object's frame on the leading axes of the labels.
    """
    members: dict[tuple[int, ...], list[int]] = {}
    for n, place in enumerate(places):
        members.setdefault(place, []).append(n)
    return sum(
        fill(
            labels[frame] if frame else labels,
            [ring for n in here for ring in shapes[n]],
            [owners[n] for n in here for _ in shapes[n]],
        )
        for frame, here in members.items()
    )


def _spans(
    rings: Sequence[Vertices], owners: Sequence[int], shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], ...]:
    """Rows, first columns, columns after the last ones, objects; the objects in their order."""
    height, width = shape
    objects = np.cumsum(np.diff(np.asarray(owners), prepend=owners[0] if len(owners) else 0) != 0)
    counts = [len(ring) for ring in rings]
    nothing = np.zeros(0, np.int64)
    if not sum(counts):
        return nothing, nothing, nothing, nothing
    start = np.concatenate(list(rings)).astype(np.float64) - 0.5  # centres are whole numbers
    after = np.arange(1, len(start) + 1)
    ends = np.cumsum(counts)
    filled = [n for n, count in enumerate(counts) if count]
    after[ends[filled] - 1] = ends[filled] - np.asarray(counts)[filled]
    end = start[after]
    downwards = start[:, :1] <= end[:, :1]
    upper, lower = np.where(downwards, start, end), np.where(downwards, end, start)
    first, last = (np.clip(np.ceil(each[:, 0]), 0, height).astype(int) for each in (upper, lower))
    edge = np.repeat(np.arange(len(start)), last - first)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - last, last - first)
    (y0, x0), (y1, x1) = upper[edge].T, lower[edge].T
    with np.errstate(over="ignore"):
        crossing = x0 + (row - y0) * ((x1 - x0) / (y1 - y0))
    column = np.clip(np.ceil(crossing), 0, width).astype(np.int64)
    owner = np.repeat(objects, counts)[edge]
    order = np.lexsort((column, row, owner))  # crossings in pairs: into the object, out of it
    row, column, owner = row[order], column[order], owner[order]
    of_object = np.asarray(owners)[np.searchsorted(objects, owner[::2])]
    return row[::2], column[::2], column[1::2], of_object
