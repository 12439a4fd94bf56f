"""TrackMate's XML: spots with their outlines, tracks, the calibration of the image.

The centre of the first pixel is at 0, of spots and of their outlines: TrackMate subtracts half a
pixel from the polygons of ImageJ (`MaskUtils`), and adds it where it draws (`SpotOverlay`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from napari_sam.engine import FrameError, Labelled, LeftOut, ObjectPrompts, Prompts

from .canvas import Canvas
from .filling import Vertices, fill_frames, filled
from .lineage import Edges, discs, drawn, lineage, named, roots, scaled
from .outlines import Ring, by_object, outlines
from .reading import AGAIN, FARTHEST, one_by_one, overlapped, read_bytes

VERSION = "7.11.1"
NAMES = {"micrometer": "micron", "um": "micron", "µm": "micron", "second": "sec", "s": "sec"}


def write(objects: Labelled, path: Path) -> None:
    """Of an object in several pieces the largest; TrackMate has no holes."""
    tracks, edges = lineage(objects)
    size, units = scaled(objects)
    shape = dict(zip(objects.axes.replace("Q", "T"), objects.shape, strict=True))
    rings = {} if "Z" in shape else dict(_rings(objects))
    space, time = (NAMES.get(units.get(a, "pixel"), units.get(a, "pixel")) for a in "XT")
    with path.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        file.write(f'<TrackMate version="{VERSION}">\n')
        time = "frame" if time == "pixel" else time
        file.write(f"<Model spatialunits={quoteattr(space)} timeunits={quoteattr(time)}>\n")
        file.write(f'<AllSpots nspots="{len(tracks)}">\n')
        order = np.argsort(tracks.frames, kind="stable").tolist()
        before = None
        for row in order:
            frame = int(tracks.frames[row])
            if frame != before:
                file.write("" if before is None else "</SpotsInFrame>\n")
                file.write(f'<SpotsInFrame frame="{frame}">\n')
                before = frame
            ring = rings.get((int(tracks.ids[row]), frame))
            file.write(_spot(row, int(tracks.ids[row]), frame, tracks, size, ring))
        file.write(("" if before is None else "</SpotsInFrame>\n") + "</AllSpots>\n")
        file.writelines(_tracks(len(tracks), edges))
        file.write("</Model>\n<Settings>\n" + _image_data(shape, size) + "</Settings>\n")
        file.write("</TrackMate>\n")


def read(path: Path, canvas: Canvas | None) -> Labelled:
    """Outlines are filled; spots without one become discs."""
    root = _parsed(path)
    spots = _spots(root)
    data = next(root.iter("ImageData"), None)
    canvas = canvas or _canvas(path, data)
    size = _sizes(path, data)
    edges = _edges(path, root, _rows(path, spots))
    ids, parents = named(path, [frame for frame, _ in spots], edges)
    labels = canvas.empty(int(ids.max(initial=0)))
    shapes, owners, at, points, radii, dots = [], [], [], [], [], []
    for n, ((t, spot), object_id) in enumerate(zip(spots, ids.tolist(), strict=True)):
        y, x, z, radius = _place(path, n, spot, size)
        place = canvas.positions(t, z, f"{path}: spot {n}")
        ring = _ring(path, n, spot, size)
        if ring is None:
            points.append((place, y, x))
            radii.append(radius)
            dots.append(object_id)
        else:
            shapes.append([ring])
            owners.append(object_id)
            at.append(place)
    problems = overlapped(path, fill_frames(labels, shapes, owners, at))
    if dots:
        problems += drawn(path, discs(labels, canvas, dots, points, radii))
    return canvas.labelled(labels, parents=parents, problems=problems)


def prompts(path: Path, canvas: Canvas) -> Iterator[ObjectPrompts | LeftOut]:
    """Spots with an outline as masks, others as points; a track is one object in its frames."""
    root = _parsed(path)
    spots = _spots(root)
    size = _sizes(path, next(root.iter("ImageData"), None))
    rows = _rows(path, spots)
    ids, _ = named(path, [frame for frame, _ in spots], _edges(path, root, rows))

    def prompts_of(n: int, spot: tuple[int, ElementTree.Element]) -> Iterator[ObjectPrompts]:
        t, element = spot
        y, x, z, _ = _place(path, n, element, size)
        ring = _ring(path, n, element, size)
        at = canvas.positions(t, z, f"spot {n}")
        known: dict[str, Any] = {"at": at, "object_id": int(ids[n])}
        if ring is None:
            yield ObjectPrompts(Prompts.from_points([(y, x)]), **known)
        else:
            yield filled([ring], canvas.shape[-2:], **known)

    return one_by_one(path, "spot", spots, prompts_of)


def _spots(root: ElementTree.Element) -> list[tuple[int, ElementTree.Element]]:
    """All spots, each with its frame."""
    return [
        (int(frame.get("frame", 0)), spot)
        for frame in root.iter("SpotsInFrame")
        for spot in frame.iter("Spot")
    ]


def _rows(path: Path, spots: Sequence[tuple[int, ElementTree.Element]]) -> dict[str | None, int]:
    rows = {spot.get("ID"): row for row, (_, spot) in enumerate(spots)}
    if len(rows) != len(spots):
        raise FrameError(f"{path}: two spots have one ID. {AGAIN}")
    return rows


def _rings(objects: Labelled) -> Iterator[tuple[tuple[int, int], Ring]]:
    """The outline of the largest piece of each object in each frame."""
    for positions, pixels in objects.frames():
        t = positions[0] if positions else 0
        for object_id, pieces in by_object(outlines(pixels)).items():
            yield (object_id, t), max(pieces, key=lambda piece: len(piece.outline)).outline


def _spot(
    row: int, object_id: int, frame: int, tracks: Any, size: Mapping[str, float], ring: Ring | None
) -> str:
    """A spot with its outline, if it has one."""
    centre = tracks.centres[row]
    *z, y, x = (centre * [size.get(axis, 1.0) for axis in "ZYX"[-len(centre) :]]).tolist()
    depth = z[0] if z else 0.0
    area = int(tracks.areas[row]) * size["Y"] * size["X"]
    radius = math.cbrt(3 * area * size["Z"] / (4 * math.pi)) if z else math.sqrt(area / math.pi)
    when = frame * size.get("T", 1.0)
    said = (
        f'<Spot ID="{row}" name="{object_id}" QUALITY="1.0" POSITION_X="{x:.6g}" '
        f'POSITION_Y="{y:.6g}" POSITION_Z="{depth:.6g}" POSITION_T="{when:.6g}" '
        f'FRAME="{frame}" RADIUS="{radius:.6g}" VISIBILITY="1"'
    )
    if ring is None:
        return said + "/>\n"
    corners = ((ring - 0.5) * [size["Y"], size["X"]] - [y, x])[:, ::-1]
    text = " ".join(f"{value:.6g}" for value in corners.ravel().tolist())
    return f'{said} ROI_N_POINTS="{len(ring)}">{text}</Spot>\n'


def _tracks(n_nodes: int, edges: Edges) -> Iterator[str]:
    of_node = roots(n_nodes, edges)
    members: dict[int, list[tuple[int, int]]] = {}
    for one, other in edges.tolist():
        members.setdefault(int(of_node[one]), []).append((one, other))
    yield "<AllTracks>\n"
    for number, pairs in members.items():
        yield f'<Track name="Track_{number}" TRACK_ID="{number}" TRACK_INDEX="{number}">\n'
        for one, other in pairs:
            yield f'<Edge SPOT_SOURCE_ID="{one}" SPOT_TARGET_ID="{other}" LINK_COST="-1.0"/>\n'
        yield "</Track>\n"
    yield "</AllTracks>\n<FilteredTracks>\n"
    for number in members:
        yield f'<TrackID TRACK_ID="{number}"/>\n'
    yield "</FilteredTracks>\n"


def _image_data(shape: Mapping[str, int], size: Mapping[str, float]) -> str:
    return (
        f'<ImageData filename="" folder="" width="{shape["X"]}" height="{shape["Y"]}" '
        f'nslices="{shape.get("Z", 1)}" nframes="{shape.get("T", 1)}" '
        f'pixelwidth="{size["X"]:.9g}" pixelheight="{size["Y"]:.9g}" '
        f'voxeldepth="{size.get("Z", 1.0):.9g}" timeinterval="{size.get("T", 1.0):.9g}"/>\n'
    )


def _parsed(path: Path) -> ElementTree.Element:
    content = read_bytes(path)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise FrameError(f"{path} defines entities, which TrackMate does not: it is not read.")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise FrameError(f"{path} is no XML, or ends too early: {error}. {AGAIN}") from error
    if root.tag != "TrackMate":
        raise FrameError(f"{path} is XML of {root.tag}, not of TrackMate. Try another --from.")
    return root


def _number(
    path: Path, what: str, element: ElementTree.Element, name: str, default: float = math.nan
) -> float:
    try:
        value = float(element.get(name, default))
    except ValueError:
        value = math.nan
    if not abs(value) < FARTHEST:
        raise FrameError(f"{path}: the {name} of {what} is {element.get(name)!r}. {AGAIN}")
    return value


def _sizes(path: Path, data: ElementTree.Element | None) -> tuple[float, float, float]:
    """Units a pixel along z, y and x."""
    if data is None:
        return (1.0, 1.0, 1.0)
    names = ("voxeldepth", "pixelheight", "pixelwidth")
    z, y, x = (_number(path, "the image", data, name, 1.0) or 1.0 for name in names)
    return z, y, x


def _canvas(path: Path, data: ElementTree.Element | None) -> Canvas:
    if data is None:
        raise FrameError(f"{path} does not say how large the image is. Give it with --like.")
    names = ("nframes", "nslices", "height", "width")
    t, z, y, x = (int(_number(path, "the image", data, name, 1)) for name in names)
    if min(t, z, y, x) < 1:
        raise FrameError(f"{path}: its image has no size. Give the image with --like.")
    if t > 1:
        return Canvas((t, z, y, x), "TZYX") if z > 1 else Canvas((t, y, x), "TYX")
    return Canvas((z, y, x), "ZYX") if z > 1 else Canvas((y, x), "YX")


def _edges(path: Path, root: ElementTree.Element, rows: Mapping[str | None, int]) -> Edges:
    edges = []
    for n, edge in enumerate(root.iter("Edge")):
        ends = [rows.get(edge.get(name)) for name in ("SPOT_SOURCE_ID", "SPOT_TARGET_ID")]
        if None in ends:
            raise FrameError(f"{path}: edge {n} goes to a spot that is not there. {AGAIN}")
        edges.append(ends)
    return np.array(edges, np.int64).reshape(-1, 2)


def _place(
    path: Path, n: int, spot: ElementTree.Element, size: tuple[float, float, float]
) -> tuple[float, float, int, float]:
    """y, x, the slice and the radius, in pixels."""
    what = f"spot {n}"
    y = _number(path, what, spot, "POSITION_Y") / size[1]
    x = _number(path, what, spot, "POSITION_X") / size[2]
    z = round(_number(path, what, spot, "POSITION_Z", 0.0) / size[0])
    return y, x, z, _number(path, what, spot, "RADIUS", 5.0) / size[2]


def _ring(
    path: Path, n: int, spot: ElementTree.Element, size: tuple[float, float, float]
) -> Vertices | None:
    """The outline of a spot, in corners of pixels."""
    if spot.get("ROI_N_POINTS") is None or not (spot.text or "").strip():
        return None
    try:
        values = np.array((spot.text or "").split(), np.float64).reshape(-1, 2)
    except ValueError as error:
        said = f"{path}: the outline of spot {n} is no list of points. {AGAIN}"
        raise FrameError(said) from error
    if not (np.abs(values) < FARTHEST).all():
        raise FrameError(f"{path}: the outline of spot {n} is nowhere in an image. {AGAIN}")
    centre = [_number(path, f"spot {n}", spot, f"POSITION_{a}") for a in "XY"]
    return np.asarray(((values + centre) / [size[2], size[1]])[:, ::-1] + 0.5)
