"""GEFF: the graph of objects through time, as traccuracy, motile and others read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from geff import GeffMetadata
from geff import read as read_graph
from geff.core_io import write_arrays

from napari_sam.engine import FrameError, Labelled, read_labels, read_review
from napari_sam.engine.images.codecs import checked

from .canvas import Canvas
from .lineage import USUAL_RADIUS, Point, draw, forward, lineage, named, scaled, texts_of
from .reading import FARTHEST
from .records import Found, counted, keep, one_by_one

UNITS = {"um": "micrometer", "µm": "micrometer", "nm": "nanometer", "s": "second"}


def write(objects: Labelled, path: Path) -> None:
    """A node an object and frame, in units of the image, with its number in the labels."""
    tracks, edges = lineage(objects)
    size, units = scaled(objects)
    letters = "TZYX" if tracks.centres.shape[1] == 3 else "TYX"
    values = np.column_stack([tracks.frames, tracks.centres])
    names = [letter.lower() for letter in letters]
    columns: dict[str, Any] = {
        name: values[:, n] * size.get(letter, 1.0)
        for n, (name, letter) in enumerate(zip(names, letters, strict=True))
    }
    columns |= {"seg_id": tracks.ids.astype(np.int64), "track_id": tracks.ids.astype(np.int64)}
    columns["area"] = tracks.areas.astype(np.int64)
    for name, say in texts_of(objects).items():
        columns[name] = np.array([say(object_id) for object_id in tracks.ids.tolist()], str)
    axes = [
        _axis(name, units.get(letter, "pixel")) for name, letter in zip(names, letters, strict=True)
    ]
    about = GeffMetadata(
        directed=True,
        axes=axes,
        node_props_metadata={},
        edge_props_metadata={},
        track_node_props={"tracklet": "track_id"},
        extra={"napari-sam": {"scale": [size.get(letter, 1.0) for letter in letters]}},
    )
    props: Any = {name: {"values": values, "missing": None} for name, values in columns.items()}
    nodes = np.arange(len(tracks), dtype=np.uint64)
    write_arrays(str(path), nodes, props, edges.astype(np.uint64), {}, about, overwrite=True)


def read(path: Path, canvas: Canvas) -> Labelled:
    """The pixels of the labels that are given, or that the graph names; else discs of their area or
    radius, or of a usual size."""
    _check(path)
    graph, about = read_graph(path)
    names = [axis.name for axis in about.axes or ()]
    if not {"t", "y", "x"} <= set(names):
        raise FrameError(
            f"{path} has the axes {', '.join(names) or 'none'}; wanted are t, y and x, and perhaps "
            "z. Name its axes so."
        )
    said = (about.extra or {}).get("napari-sam", {}).get("scale") or _scale_of(canvas, names)
    size = dict(zip(names, said, strict=False))
    nodes = list(graph.nodes)
    rows = {node: row for row, node in enumerate(nodes)}
    canvas, segment_of = _segments(path, about, canvas)
    times = np.array([graph.nodes[node]["t"] for node in nodes], float) / size["t"]
    frames = np.rint(np.where(np.abs(times) < FARTHEST, times, -1)).astype(int).tolist()
    edges, backwards = forward(
        counted("edge", ((rows[a], rows[b]) for a, b in graph.edges)), frames
    )
    ids, parents = named(frames, edges)

    def point(what: str, row: int) -> Iterator[Found]:
        node = graph.nodes[nodes[row]]
        z, y, x = (float(node.get(name, 0)) / size.get(name, 1.0) for name in "zyx")
        if not all(abs(place) < FARTHEST for place in (z, y, x)):
            raise FrameError(f"it is at y {y:g}, x {x:g}, which is nowhere in an image")
        yield Found(
            Point(y, x, _radius(node, size["x"]), int(node.get(segment_of, 0))),
            int(ids[row]),
            canvas.positions(frames[row], round(z), f"{path}: {what}"),
            str(node.get("class", "")),
            read_review(_texts(node)),
        )

    named_rows = ((f"node {node}", row) for node, row in rows.items())
    kept = keep(path, chain(one_by_one(path, named_rows, point), backwards))
    return draw(path, kept, canvas, parents=parents)


def _segments(path: Path, about: GeffMetadata, canvas: Canvas) -> tuple[Canvas, str]:
    """The image with the labels that the graph names, where these are there; and the property of
    its nodes that has their numbers in it."""
    related = next((each for each in about.related_objects or () if each.type == "labels"), None)
    said = {} if related is None else related.model_dump()
    name = said.get("node_prop") or said.get("label_prop") or "seg_id"
    if related is None or canvas.segments is not None:
        return canvas, name
    place = (path / related.path).resolve()
    if not place.exists():
        return canvas, name
    labels, _ = read_labels(place)
    return (replace(canvas, segments=labels) if labels.shape == canvas.shape else canvas), name


def _texts(node: Any) -> dict[str, Any]:
    """The properties of a node; texts as Python has them."""
    return {k: str(v) if isinstance(v, np.str_) else v for k, v in node.items()}


def _check(path: Path) -> None:
    """Decode every array with care before its library does, which trusts codecs and lengths."""
    group = zarr.open_group(path, mode="r")
    for _, member in group.members(max_depth=None):
        if isinstance(member, zarr.Array):
            checked(member)[...]


def _axis(name: str, unit: str) -> Any:
    from geff_spec import Axis

    full = UNITS.get(unit, unit)
    known = full if full != "pixel" else ("frame" if name == "t" else "pixel")
    return Axis(name=name, type="time" if name == "t" else "space", unit=known)


def _scale_of(canvas: Canvas, names: list[str]) -> list[float]:
    known = dict(zip(canvas.axes.lower(), canvas.scale or (1.0,) * len(canvas.axes), strict=True))
    return [known.get(name, 1.0) for name in names]


def _radius(node: Any, size: float) -> float:
    if "radius" in node:
        return float(node["radius"]) / size
    area = float(node.get("area", 0))
    return float(np.sqrt(area / np.pi)) if area > 0 else USUAL_RADIUS
