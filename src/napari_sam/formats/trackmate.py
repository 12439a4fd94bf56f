"""TrackMate's XML: spots with their outlines, tracks, the calibration of the image.

The centre of the first pixel is at 0, of spots and of their outlines: TrackMate subtracts half a
pixel from the polygons of ImageJ (`MaskUtils`), and adds it where it draws (`SpotOverlay`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from napari_sam.engine import FrameError, Labelled, LeftOut, ObjectPrompts, Prompts

from .canvas import Canvas
from .filling import Vertices, fill_frames, filled
from .lineage import Edges, Point, forward, lineage, named, points, roots, scaled
from .outlines import Ring, by_object, outlines
from .reading import AGAIN, FARTHEST, overlapped, read_bytes
from .records import Found, counted, keep, one_by_one

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
    """Outlines are filled; spots without one take the pixels of given labels, or become discs."""
    root = _parsed(path)
    data = next(root.iter("ImageData"), None)
    canvas = canvas or _canvas(path, data)
    graph = _graph(path, root)
    size = _sizes(path, data)

    def objects(what: str, spot: Spot) -> Iterator[Found]:
        y, x, z, radius = _place(path, what, spot.element, size)
        ring = _ring(path, what, spot.element, size)
        at = canvas.positions(spot.frame, z, f"{path}: {what}")
        yield Found(Point(y, x, radius) if ring is None else [ring], spot.number, at)

    kept = keep(path, chain(one_by_one(path, graph.spots, objects), graph.left_out))
    labels = canvas.empty(kept.highest_id)
    outlined = [n for n, each in enumerate(kept.objects) if not isinstance(each.shape, Point)]
    drawn = kept.only(outlined)
    shapes, places = [each.shape for each in drawn.objects], [each.at for each in drawn.objects]
    problems = overlapped(path, fill_frames(labels, shapes, drawn.ids, places))
    dots = kept.only(sorted(set(range(len(kept.objects))) - set(outlined)))
    problems += points(path, dots, canvas, labels)
    return kept.labelled(canvas, labels, *problems, parents=graph.parents)


def prompts(path: Path, canvas: Canvas) -> Iterator[ObjectPrompts | LeftOut]:
    """Spots with an outline as masks, others as points; a track is one object in its frames."""
    root = _parsed(path)
    graph = _graph(path, root)
    size = _sizes(path, next(root.iter("ImageData"), None))

    def prompts_of(what: str, spot: Spot) -> Iterator[ObjectPrompts]:
        y, x, z, _ = _place(path, what, spot.element, size)
        ring = _ring(path, what, spot.element, size)
        at = canvas.positions(spot.frame, z, what)
        known: dict[str, Any] = {"at": at, "object_id": spot.number}
        if ring is None:
            yield ObjectPrompts(Prompts.from_points([(y, x)]), **known)
        else:
            yield filled([ring], canvas.shape[-2:], **known)

    yield from one_by_one(path, graph.spots, prompts_of)
    yield from graph.left_out


@dataclass(frozen=True)
class Spot:
    """A spot in its frame, with the number of its object."""

    frame: int
    element: ElementTree.Element
    number: int


@dataclass(frozen=True)
class Graph:
    """The spots of a file, each with its place, and what of it cannot be used."""

    spots: tuple[tuple[str, Spot], ...]
    parents: Mapping[int, tuple[int, ...]]
    left_out: tuple[LeftOut, ...]


def _graph(path: Path, root: ElementTree.Element) -> Graph:
    """Spots, numbered by the edges between them."""
    left_out: list[LeftOut] = []
    found: list[tuple[str, int, ElementTree.Element]] = []
    rows: dict[str | None, int] = {}
    in_frames = ((f, spot) for f in root.iter("SpotsInFrame") for spot in f.iter("Spot"))
    for where, (frame, spot) in counted("spot", in_frames):
        t = _whole(frame.get("frame", "0"))
        if t is None:
            said = f"the number of its frame is {frame.get('frame')!r}"
            left_out.append(LeftOut(where, said))
        elif rows.setdefault(spot.get("ID"), len(found)) < len(found):
            said = f"a spot before it has the same ID {spot.get('ID')!r}"
            left_out.append(LeftOut(where, said))
        else:
            found.append((where, t, spot))
    ends: list[tuple[str, tuple[int, int]]] = []
    for where, edge in counted("edge", root.iter("Edge")):
        one, other = (rows.get(edge.get(f"SPOT_{end}_ID")) for end in ("SOURCE", "TARGET"))
        if one is None or other is None:
            left_out.append(LeftOut(where, "it goes to a spot that is not there"))
        else:
            ends.append((where, (one, other)))
    frames = [t for _, t, _ in found]
    edges, backwards = forward(ends, frames)
    ids, parents = named(frames, edges)
    spots = tuple(
        (where, Spot(t, spot, number))
        for (where, t, spot), number in zip(found, ids.tolist(), strict=True)
    )
    return Graph(spots, parents, (*left_out, *backwards))


def _whole(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() else None


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


def _place(
    path: Path, what: str, spot: ElementTree.Element, size: tuple[float, float, float]
) -> tuple[float, float, int, float]:
    """y, x, the slice and the radius, in pixels."""
    y = _number(path, what, spot, "POSITION_Y") / size[1]
    x = _number(path, what, spot, "POSITION_X") / size[2]
    z = round(_number(path, what, spot, "POSITION_Z", 0.0) / size[0])
    return y, x, z, _number(path, what, spot, "RADIUS", 5.0) / size[2]


def _ring(
    path: Path, what: str, spot: ElementTree.Element, size: tuple[float, float, float]
) -> Vertices | None:
    """The outline of a spot, in corners of pixels."""
    if spot.get("ROI_N_POINTS") is None or not (spot.text or "").strip():
        return None
    try:
        values = np.array((spot.text or "").split(), np.float64).reshape(-1, 2)
    except ValueError as error:
        said = f"{path}: the outline of {what} is no list of points. {AGAIN}"
        raise FrameError(said) from error
    if not (np.abs(values) < FARTHEST).all():
        raise FrameError(f"{path}: the outline of {what} is nowhere in an image. {AGAIN}")
    centre = [_number(path, what, spot, f"POSITION_{a}") for a in "XY"]
    return np.asarray(((values + centre) / [size[2], size[1]])[:, ::-1] + 0.5)
