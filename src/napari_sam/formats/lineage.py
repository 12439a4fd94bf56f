"""Objects through time as a graph: a node an object and frame, edges to what it becomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import REVIEW_COLUMNS, FrameError, Labelled, LeftOut
from napari_sam.stacks import Tracks, find_tracks

from .canvas import Canvas
from .records import Kept

Edges = NDArray[np.int64]
"""``(E, 2)`` rows of nodes: before, after."""

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


def forward(edges: Sequence[tuple[int, int]], frames: Sequence[int]) -> tuple[Edges, list[LeftOut]]:
    """The edges that go forward in time, and the others."""
    pairs = np.array(edges, np.int64).reshape(-1, 2)
    at = np.asarray(frames, np.int64)
    is_forward = at[pairs[:, 0]] < at[pairs[:, 1]]
    wrong = [
        LeftOut(f"edge {n}", f"it goes from frame {a} to frame {b}, not forward in time")
        for n, (a, b) in zip(
            np.flatnonzero(~is_forward).tolist(), at[pairs[~is_forward]].tolist(), strict=True
        )
    ]
    return pairs[is_forward], wrong


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


def draw(path: Path, kept: Kept, canvas: Canvas, **known: Any) -> Labelled:
    """Points ``(y, x, radius)`` become discs, each in its frame; the first of two keeps a pixel.

    Places are in pixels, the centre of the first one at 0.
    """
    labels = canvas.empty(kept.highest_id)
    return kept.labelled(canvas, labels, *discs(path, kept, canvas, labels), **known)


def discs(path: Path, kept: Kept, canvas: Canvas, labels: NDArray[Any]) -> tuple[str, ...]:
    """Draw points into labels; what to say of that."""
    height, width = canvas.shape[-2:]
    outside, radii = 0, []
    for object_id, each in zip(kept.ids, kept.objects, strict=True):
        y, x, radius = each.shape
        reach = min(max(radius, 0.5), float(max(height, width)))
        y0, y1 = max(math.ceil(y - reach), 0), min(math.floor(y + reach) + 1, height)
        x0, x1 = max(math.ceil(x - reach), 0), min(math.floor(x + reach) + 1, width)
        if y0 >= y1 or x0 >= x1:
            outside += 1
            continue
        radii.append(reach)
        where: tuple[Any, ...] = (*each.at, slice(y0, y1), slice(x0, x1))
        part = labels[where]
        rows, columns = np.ogrid[y0:y1, x0:x1]
        inside = (rows - y) ** 2 + (columns - x) ** 2 <= reach**2
        part[inside & (part == 0)] = object_id
    said = []
    if radii:
        sizes = sorted({round(2 * least) for least in (min(radii), max(radii))})
        across = " to ".join(map(str, sizes))
        said.append(
            f"{path.name} has positions only: each object becomes a disc, {across} pixels across, "
            "in one slice."
        )
    if outside:
        said.append(f"{outside} points of {path.name} are outside of the image: left out.")
    return tuple(said)


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
