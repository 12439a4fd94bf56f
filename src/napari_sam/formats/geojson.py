"""GeoJSON as QuPath reads and writes it: polygons with holes, classes, measurements, planes."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import (
    FrameError,
    Labelled,
    LeftOut,
    ObjectPrompts,
    Prompts,
    Review,
    colour_of,
    read_review,
)
from napari_sam.measurements import MeasureOptions, measure_frames

from .canvas import Canvas, plane
from .filling import Vertices, fill_frames, filled
from .outlines import Piece, Ring, by_object, outlines
from .reading import entry, expect, overlapped, read_json, vertices, whole
from .records import Found, counted, keep, one_by_one

NOT_MEASURED = ("object_id", "box_", "at_border", "centroid_", "class", "model")
AREAS = ("Polygon", "MultiPolygon")
NAMESPACE = uuid.UUID("5ab1e0de-5e55-4a00-8000-000000000000")


def write(objects: Labelled, path: Path) -> None:
    """One file, a line an object in a frame, in pixels of the image at its full resolution."""
    tables = measure_frames(objects, options=MeasureOptions(each="frame"))
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        begun = False
        for (positions, pixels), table in zip(objects.frames(), tables, strict=True):
            measured = _measured(table)
            for object_id, pieces in by_object(outlines(pixels)).items():
                feature = _feature(objects, object_id, positions, pieces, measured[object_id])
                file.write(("," if begun else "") + "\n" + json.dumps(feature))
                begun = True
        file.write("\n]}\n")


def read(path: Path, canvas: Canvas) -> Labelled:
    """All polygons; other geometries are told and left out."""
    content = expect(path, "the file", read_json(path, with_nan=True), dict | list)
    features = content if isinstance(content, list) else _features(path, content)

    def objects(what: str, feature: Any) -> Iterator[Found]:
        rings = _shape(path, what, feature)
        if rings is None:
            raise FrameError(f"{path}: {what} has no geometry")
        number, at = _place(path, what, feature, canvas)
        yield Found(rings, number, at, _class_of(feature), _review_of(feature))

    areas = [each for each in counted("feature", features) if not _is_other(each[1])]
    kept = keep(path, one_by_one(path, areas, objects))
    labels = canvas.empty(kept.highest_id)
    shapes, places = [each.shape for each in kept.objects], [each.at for each in kept.objects]
    problems = overlapped(path, fill_frames(labels, shapes, kept.ids, places))
    if left := len(features) - len(areas):
        problems += (f"{left} features of {path.name} are no polygons; they are left out.",)
    return kept.labelled(canvas, labels, *problems)


def prompts(path: Path, canvas: Canvas) -> Iterator[ObjectPrompts | LeftOut]:
    """Polygons as masks, each point as an object of its own; other geometries are left out."""
    return prompts_in(path, read_json(path, with_nan=True), canvas)


def prompts_in(path: Path, content: Any, canvas: Canvas) -> Iterator[ObjectPrompts | LeftOut]:
    """The same of what was read from a file."""
    content = expect(path, "the file", content, dict | list)
    features = content if isinstance(content, list) else _features(path, content)

    def prompts_of(what: str, feature: Any) -> Iterator[ObjectPrompts]:
        rings, points = _shape(path, what, feature), _points(path, what, feature)
        if rings is None and not len(points):
            raise FrameError("neither a polygon nor a point")
        number, at = _place(path, what, feature, canvas)
        known: dict[str, Any] = {"at": at, "class_name": _class_of(feature)}
        if rings is not None or len(points) == 1:
            known["object_id"] = number or 0
        if rings is not None:
            yield filled(rings, canvas.shape[-2:], **known)
        for point in points:
            yield ObjectPrompts(Prompts.from_points([point]), **known)

    return one_by_one(path, counted("feature", features), prompts_of)


def _is_other(feature: Any) -> bool:
    """Whether its geometry is a point, a line or the like, and no area."""
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    return isinstance(kind, str) and kind not in AREAS


def _points(path: Path, what: str, feature: Any) -> NDArray[np.float64]:
    """Points ``(N, 2)`` yx, of centres of pixels; none of other geometries."""
    geometry = expect(path, what, feature, dict).get("geometry")
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if not isinstance(geometry, dict) or kind not in ("Point", "MultiPoint"):
        return np.zeros((0, 2))
    found = entry(path, f"the geometry of {what}", geometry, "coordinates", list)
    return vertices(path, what, [found] if kind == "Point" else found)[:, ::-1] - 0.5


def _measured(table: Any) -> dict[int, dict[str, float]]:
    """Of each object what is a number and no place."""
    names = [
        name
        for name in table.columns
        if not name.startswith(NOT_MEASURED) and table[name].dtype.kind in "fiu" and len(name) > 1
    ]
    rows = table[names].to_dict("records")
    return {
        int(object_id): {k: float(f"{v:.6g}") for k, v in row.items() if math.isfinite(v)}
        for object_id, row in zip(table["object_id"], rows, strict=True)
    }


def _feature(
    objects: Labelled,
    object_id: int,
    positions: tuple[int, ...],
    pieces: Sequence[Piece],
    measured: Mapping[str, float],
) -> dict[str, Any]:
    polygons = [[_closed(each.outline), *map(_closed, each.holes)] for each in pieces]
    one = len(polygons) == 1
    geometry: dict[str, Any] = {
        "type": "Polygon" if one else "MultiPolygon",
        "coordinates": polygons[0] if one else polygons,
    }
    t, z = plane(objects, positions)
    if t or z:
        geometry["plane"] = {"c": -1, "z": z, "t": t}
    name = objects.classes.get(object_id)
    colour = [round(part) for part in colour_of(object_id)]
    known: dict[str, Any] = {}
    if name is not None:
        known["classification"] = {"name": name, "color": colour}
    if review := objects.reviews.get(object_id):
        known["metadata"] = review.columns  # texts that QuPath shows and keeps
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(NAMESPACE, f"{object_id} {positions}")),
        "geometry": geometry,
        "properties": {
            "objectType": "annotation",
            "name": str(object_id),
            **known,
            "measurements": dict(measured),
        },
    }


def _closed(ring: Ring) -> list[list[int]]:
    points: list[list[int]] = ring[:, ::-1].tolist()
    return [*points, points[0]]


def _features(path: Path, content: Mapping[str, Any]) -> list[Any]:
    if content.get("type") == "Feature":
        return [content]
    if content.get("type") != "FeatureCollection":
        raise FrameError(
            f"{path} is no GeoJSON of objects: its type is {content.get('type')!r}, where "
            "FeatureCollection is wanted. In QuPath: File → Export objects as GeoJSON."
        )
    found: list[Any] = entry(path, "the file", content, "features", list)
    return found


def _shape(path: Path, what: str, feature: Any) -> list[Vertices] | None:
    """The rings of a polygon, or of several; ``None`` for anything else."""
    geometry = expect(path, what, feature, dict).get("geometry")
    if not isinstance(geometry, dict) or geometry.get("type") not in AREAS:
        return None
    polygons = entry(path, f"the geometry of {what}", geometry, "coordinates", list)
    if geometry["type"] == "Polygon":
        polygons = [polygons]
    return [
        vertices(path, what, ring)[:, ::-1]
        for polygon in polygons
        for ring in expect(path, f"a polygon of {what}", polygon, list)
    ]


def _place(
    path: Path, what: str, feature: Mapping[str, Any], canvas: Canvas
) -> tuple[int | None, tuple[int, ...]]:
    """The number in its name, if there is one, and its frame."""
    properties = feature.get("properties")
    name = properties.get("name") if isinstance(properties, dict) else None
    number = int(name) if isinstance(name, str) and name.isdecimal() and len(name) < 11 else None
    on = feature["geometry"].get("plane") or {}
    plane_of = f"the plane of {what}"
    on = expect(path, plane_of, on, dict)
    t, z = (whole(path, plane_of, on.get(axis, 0)) for axis in "tz")
    own = None if not number else whole(path, f"the name of {what}", number, 1)
    return own, canvas.positions(t, z, f"{path}: {what}")


def _review_of(feature: Mapping[str, Any]) -> Review | None:
    properties = feature.get("properties")
    known = properties.get("metadata") if isinstance(properties, dict) else None
    return read_review(known) if isinstance(known, dict) else None


def _class_of(feature: Mapping[str, Any]) -> str:
    properties = feature.get("properties")
    known = properties.get("classification") if isinstance(properties, dict) else None
    if not isinstance(known, dict):
        return ""
    names = known.get("names")  # of QuPath since 0.4, where one class is below another
    return ": ".join(map(str, names)) if isinstance(names, list) else str(known.get("name") or "")
