"""Objects through time as a graph: a node an object and frame, edges to what it becomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import (
    REVIEW_COLUMNS,
    FrameError,
    Labelled,
    LeftOut,
    as_ids,
    sentences_of,
)
from napari_sam.stacks import Tracks, find_tracks

from .canvas import Canvas, depth_axis
from .records import Kept

Edges = NDArray[np.int64]
"""``(E, 2)`` rows of nodes: before, after."""

DISCS, DISC_PIXELS = 4096, 2**20  # drawn at once, at most
USUAL_RADIUS = 5.0  # pixels, of a point that says nothing of its size


def lineage(objects: Labelled) -> tuple[Tracks, Edges]:
    """All objects as nodes, sorted by object and frame, and the edges between them."""
    axes = objects.axes
    if axes in ("YX", "ZYX"):
        labels, time_axis = np.asarray(objects.labels[...])[None], 0
    elif axes in ("TYX", "TZYX", "ZTYX", "QYX"):
        labels, time_axis = objects.labels, max(axes.find("T"), 0)
    else:
        raise FrameError(
            f"Labels with the axes {axes} are no objects over time. Name the axes, such as TYX or "
            "TZYX, or export a part of them."
        )
    tracks = find_tracks(labels, objects.parents, time_axis=time_axis)
    firsts, lasts = _ends(tracks)
    rows = np.flatnonzero(tracks.ids[1:] == tracks.ids[:-1])
    edges = [(row, row + 1) for row in rows.tolist()]
    for daughter, mothers in objects.parents.items():
        for mother in mothers:
            if daughter in firsts and mother in lasts:
                pair = (lasts[mother], firsts[daughter])
                if tracks.frames[pair[0]] < tracks.frames[pair[1]]:
                    edges.append(pair)
    return tracks, np.array(edges, np.int64).reshape(-1, 2)


def forward(
    edges: Iterable[tuple[str, tuple[int, int]]], frames: Sequence[int]
) -> tuple[Edges, list[LeftOut]]:
    """The edges that go forward in time, and the others; each is given with its place."""
    kept: list[tuple[int, int]] = []
    wrong: list[LeftOut] = []
    for where, (one, other) in edges:
        a, b = frames[one], frames[other]
        if a < b:
            kept.append((one, other))
        else:
            wrong.append(LeftOut(where, f"it goes from frame {a} to frame {b}, not forward"))
    return np.array(kept, np.int64).reshape(-1, 2), wrong


def named(
    frames: Sequence[int], edges: Edges
) -> tuple[NDArray[np.int64], dict[int, tuple[int, ...]]]:
    """A number for each node, one as long as nothing divides or merges; and mothers.

    Edges go forward in time.
    """
    at = np.asarray(frames)
    after: dict[int, list[int]] = {}
    before: dict[int, list[int]] = {}
    for one, other in edges.tolist():
        after.setdefault(one, []).append(other)
        before.setdefault(other, []).append(one)
    ids = np.zeros(len(at), np.int64)
    parents: dict[int, tuple[int, ...]] = {}
    count = 0
    for node in np.argsort(at, kind="stable").tolist():
        mothers = before.get(node, [])
        if len(mothers) == 1 and len(after[mothers[0]]) == 1:
            ids[node] = ids[mothers[0]]
            continue
        count += 1
        ids[node] = count
        if mothers:
            parents[count] = tuple(int(ids[mother]) for mother in mothers)
    return ids, parents


class Point(NamedTuple):
    """Where an object is, in pixels, the centre of the first one at 0; it says no pixels."""

    y: float
    x: float
    radius: float = USUAL_RADIUS
    segment: int = 0  # its number in the labels that it was found in; 0: nobody says it


def draw(path: Path, kept: Kept, canvas: Canvas, **known: Any) -> Labelled:
    """Points take the pixels of the canvas' segments; without these they become discs."""
    labels = canvas.empty(kept.highest_id)
    return kept.labelled(canvas, labels, *points(path, kept, canvas, labels), **known)


def points(path: Path, kept: Kept, canvas: Canvas, labels: NDArray[Any]) -> tuple[str, ...]:
    """Draw points into labels; what to say of that."""
    if not kept.objects:
        return ()
    made = _discs if canvas.segments is None else _segments
    return tuple(made(path, kept, canvas, labels))


def _discs(path: Path, kept: Kept, canvas: Canvas, labels: NDArray[Any]) -> Iterator[str]:
    """Each in its frame; the first of two keeps a pixel."""
    size = np.array(canvas.shape[-2:])
    places = np.array([each.shape[:3] for each in kept.objects], np.float64)
    middles, reach = places[:, :2], np.clip(places[:, 2], 0.5, float(size.max()))
    first = np.maximum(np.ceil(middles - reach[:, None]), 0).astype(np.int64)
    last = np.minimum(np.floor(middles + reach[:, None]) + 1, size).astype(np.int64)
    sides = (last - first).max(axis=1)
    here = np.flatnonzero((first < last).all(axis=1))
    frames = _frames_of(kept, canvas)
    pixels, ids = labels.reshape(-1, *canvas.shape[-2:]), np.array(kept.ids)
    while len(here):
        several = here[: _as_many_as_fit(sides[here[:DISCS]])]
        span = np.arange(sides[several].max())
        y, x = (first[several, axis, None] + span for axis in (0, 1))  # (N, side) each
        down, right = (y - middles[several, :1])[:, :, None], (x - middles[several, 1:])[:, None]
        inside = down**2 + right**2 <= reach[several, None, None] ** 2
        inside &= (y < last[several, :1])[:, :, None] & (x < last[several, 1:])[:, None]
        nth, row, column = np.nonzero(inside)
        where = frames[several][nth], y[nth, row], x[nth, column]
        free = pixels[where] == 0
        # Of several values for one pixel NumPy keeps the last, if they are no reversed view
        backwards = np.flatnonzero(free)[::-1].copy()
        pixels[tuple(each[backwards] for each in where)] = ids[several][nth[backwards]]
        here = here[len(several) :]
    across = np.round(2 * reach[(first < last).all(axis=1)]).astype(int)
    if len(across):
        said = " to ".join(str(each) for each in sorted({across.min(), across.max()}))
        yield (
            f"{path.name} has positions only: each object becomes a disc, {said} pixels across, in "
            "one slice. If there are labels of these objects, give them with --labels."
        )
    if outside := len(reach) - len(across):
        yield f"{outside} points of {path.name} are outside of the image: left out."


def _frames_of(kept: Kept, canvas: Canvas) -> NDArray[np.int64]:
    """The number of the frame of each object, counted through all leading axes."""
    sizes = canvas.shape[:-2]
    if not sizes:
        return np.zeros(len(kept.objects), np.int64)
    at = np.array([each.at for each in kept.objects], np.int64)
    return np.asarray(np.ravel_multi_index(tuple(at.T), sizes), np.int64)


def _as_many_as_fit(sides: NDArray[np.int64]) -> int:
    """How many discs, of squares with these sides, are drawn at once; at least one."""
    needed = np.arange(1, len(sides) + 1) * np.maximum.accumulate(sides) ** 2
    return max(1, int(np.count_nonzero(needed <= DISC_PIXELS)))


def _segments(path: Path, kept: Kept, canvas: Canvas, labels: NDArray[Any]) -> Iterator[str]:
    """The object of the segments that a point names, or is on, is its own, in all its slices."""
    depth = depth_axis(canvas.axes)
    members: dict[tuple[int | None, ...], list[int]] = {}
    for n, each in enumerate(kept.objects):
        at = tuple(None if axis == depth else i for axis, i in enumerate(each.at))
        members.setdefault(at, []).append(n)
    missed: list[LeftOut] = []
    n_unnamed = 0
    for at, here in members.items():
        where = tuple(slice(None) if i is None else i for i in at) or ...
        pixels = as_ids(canvas.segments[where])
        ids, places = np.unique(pixels, return_inverse=True)
        there = set(ids.tolist()) - {0}
        owners: dict[int, int] = {}
        for n in here:
            each = kept.objects[n]
            z = () if depth is None else (each.at[depth],)
            found = each.shape.segment if each.shape.segment in there else 0
            found = found or _under(pixels, (*z, each.shape.y, each.shape.x))
            if not found or found in owners:
                said = "another point has the same object" if found else "no object is there"
                missed.append(LeftOut(each.where, f"{said} in the labels"))
            else:
                owners[found] = kept.ids[n]
        n_unnamed += len(there - owners.keys())
        values = np.array([owners.get(i, 0) for i in ids.tolist()], labels.dtype)
        labels[where] = values[places].reshape(pixels.shape)
    yield from sentences_of(missed, path.name)
    if n_unnamed:
        yield f"{n_unnamed} objects of the labels have no position in {path.name}: left out."


def _under(pixels: NDArray[Any], place: tuple[float, ...]) -> int:
    """What is at a place; 0 outside of the image."""
    at = tuple(math.floor(position + 0.5) for position in place)
    inside = all(0 <= i < size for i, size in zip(at, pixels.shape, strict=True))
    return int(pixels[at]) if inside else 0


def roots(n_nodes: int, edges: Edges) -> NDArray[np.int64]:
    """The number of the lineage that each node is of."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(edges), np.int8)
    graph = coo_array((ones, (edges[:, 0], edges[:, 1])), shape=(n_nodes, n_nodes))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def texts_of(objects: Labelled) -> dict[str, Callable[[int], str]]:
    """Columns of class and review, where any object has one, and what they say of an object."""
    columns: dict[str, Callable[[int], str]] = {}
    if objects.classes:
        columns["class"] = lambda object_id: objects.classes.get(object_id, "")

    def of_review(object_id: int, name: str) -> str:
        review = objects.reviews.get(object_id)
        return "" if review is None else review.columns[name]

    if objects.reviews:
        columns |= {name: partial(of_review, name=name) for name in REVIEW_COLUMNS}
    return columns


def scaled(objects: Labelled) -> tuple[Mapping[str, float], Mapping[str, str]]:
    """Units a pixel or frame, and the units, by the letter of the axis; Q counts as T."""
    letters = objects.axes.replace("Q", "T")
    sizes = dict(zip(letters, objects.scale, strict=True))
    return sizes, dict(zip(letters, objects.units, strict=True))


def _ends(tracks: Tracks) -> tuple[dict[int, int], dict[int, int]]:
    """The first and the last row of each object."""
    firsts: dict[int, int] = {}
    lasts: dict[int, int] = {}
    for row, object_id in enumerate(tracks.ids.tolist()):
        firsts.setdefault(object_id, row)
        lasts[object_id] = row
    return firsts, lasts
