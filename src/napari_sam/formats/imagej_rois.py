"""A zip of ImageJ's ROIs: one a frame of each object, with its place in the stack."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from roifile import ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from napari_sam.engine import FrameError, Labelled, LeftOut, ObjectPrompts, Prompts

from .canvas import Canvas, plane
from .filling import fill_frames, filled
from .outlines import Piece, by_object, outlines
from .reading import AGAIN, one_by_one, overlapped, read_bytes, unique_ids, vertices

MOST_ROIS, LARGEST_ROI, LARGEST_ALL = 2_000_000, 64 * 2**20, 2**31
MOST_GAIN = 200  # of a deflated ROI: more is no outline
AREAS = (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED, ROI_TYPE.RECT, ROI_TYPE.OVAL)
MOVE, LINE, CLOSE = 0, 1, 4  # of a path with several rings


def write(objects: Labelled, path: Path) -> None:
    """Outlines along the pixels; several rings where an object has holes or pieces."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for positions, pixels in objects.frames():
            t, z = plane(objects, positions)
            for object_id, pieces in by_object(outlines(pixels)).items():
                roi = _roi(pieces)
                roi.name = str(object_id)
                roi.group = 0
                if len(positions) > 1:
                    roi.t_position, roi.z_position, roi.c_position = t + 1, z + 1, 1
                elif positions:
                    roi.position = positions[0] + 1
                at = "-".join(f"{n:04d}" for n in (*positions, object_id))
                file.writestr(f"{at}.roi", roi.tobytes())


def read(path: Path, canvas: Canvas) -> Labelled:
    """All areas; lines, points and texts are told and left out."""
    rois = _rois(path)
    shapes, places = [], []
    for name, roi in rois:
        if not _is_area(roi):
            continue
        what = f"ROI {name!r}"
        parts = roi.coordinates(multi=True)
        shapes.append([vertices(path, what, part)[:, ::-1] for part in parts])
        places.append((_number(roi), _place(path, what, roi, canvas)))
    ids = unique_ids(path, _told_apart(places))
    labels = canvas.empty(max(ids, default=0))
    lost = fill_frames(labels, shapes, ids, [at for _, at in places])
    problems = overlapped(path, lost)
    if left := len(rois) - len(shapes):
        problems += (
            f"{left} ROIs of {path.name} are lines, points or texts, not areas; they are left out.",
        )
    return canvas.labelled(labels, problems=problems)


def prompts(path: Path, canvas: Canvas) -> Iterator[ObjectPrompts | LeftOut]:
    """Rectangles as boxes, other areas as masks, each point as an object; lines are left out."""
    rois: list[tuple[str, ImagejRoi]] = []
    damaged = []
    for name, content in _contents(path):
        try:
            rois.append((name, _parsed(path, name, content)))
        except FrameError as error:
            damaged.append(LeftOut(f"ROI {name!r}", str(error).removeprefix(f"{path}: ")))
    numbers = _told_apart(
        [(_number(roi), (roi.t_position, roi.z_position, roi.position)) for _, roi in rois]
    )

    def prompts_of(n: int, named: tuple[str, ImagejRoi]) -> Iterator[ObjectPrompts]:
        name, roi = named
        what = f"ROI {name!r}"
        known: dict[str, Any] = {"object_id": numbers[n][0] or 0}
        if roi.roitype == ROI_TYPE.POINT:
            points = vertices(path, what, roi.coordinates())[:, ::-1]
            known["object_id"] *= len(points) == 1
        elif not _is_area(roi):
            raise FrameError("a line or a text, neither an area nor a point")
        known["at"] = _place(path, what, roi, canvas)
        if roi.roitype == ROI_TYPE.POINT:
            off = 0.5 if roi.subpixelresolution else 0.0
            for point in points - off:
                yield ObjectPrompts(Prompts.from_points([point]), **known)
        elif roi.roitype == ROI_TYPE.RECT and not roi.composite:
            box = (roi.top - 0.5, roi.left - 0.5, roi.bottom - 0.5, roi.right - 0.5)
            yield ObjectPrompts(Prompts.from_box(box), **known)
        else:
            parts = roi.coordinates(multi=True)
            rings = [vertices(path, what, part)[:, ::-1] for part in parts]
            yield filled(rings, canvas.shape[-2:], **known)

    yield from one_by_one(path, "ROI", rois, prompts_of)
    yield from damaged


def _roi(pieces: Sequence[Piece]) -> ImagejRoi:
    if len(pieces) == 1 and not pieces[0].holes:
        roi = ImagejRoi.frompoints(pieces[0].outline[:, ::-1], name="")
        roi.roitype = ROI_TYPE.TRACED
        return roi
    rings = [ring for piece in pieces for ring in (piece.outline, *piece.holes)]
    corners = np.concatenate(rings)
    roi = ImagejRoi()
    roi.roitype = ROI_TYPE.RECT  # with several rings in it
    roi.top, roi.left = (int(side) for side in corners.min(axis=0))
    roi.bottom, roi.right = (int(side) for side in corners.max(axis=0))
    path: list[float] = []
    for ring in rings:
        for n, (y, x) in enumerate(ring.tolist()):
            path += [MOVE if n == 0 else LINE, x, y]
        path.append(CLOSE)
    roi.multi_coordinates = np.array(path, np.float32)
    roi.shape_roi_size = len(path)
    return roi


def _rois(path: Path) -> list[tuple[str, ImagejRoi]]:
    """The ROIs of a zip, or one of a file."""
    return [(name, _parsed(path, name, content)) for name, content in _contents(path)]


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """The names and bytes of ROIs, each read as far as a ROI can be large."""
    if path.suffix.lower() == ".roi":
        yield path.stem, read_bytes(path)
        return
    try:
        with zipfile.ZipFile(path) as file:
            infos = [info for info in file.infolist() if info.filename.lower().endswith(".roi")]
            if file.infolist() and not infos:
                raise FrameError(f"{path} holds no ROI. In Fiji: ROI Manager → More → Save….")
            _check(path, infos)
            for info in infos:
                yield info.filename, file.read(info)
    except zipfile.BadZipFile as error:
        raise FrameError(f"{path} is no zip of ROIs, or damaged: {error}. {AGAIN}") from error


def _check(path: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    too_large = [
        i for i in infos if i.file_size > min(LARGEST_ROI, 2**16 + MOST_GAIN * i.compress_size)
    ]
    if too_large or len(infos) > MOST_ROIS or sum(i.file_size for i in infos) > LARGEST_ALL:
        named = f"{too_large[0].filename!r} in it unfolds to" if too_large else "it unfolds to"
        size = too_large[0].file_size if too_large else sum(i.file_size for i in infos)
        raise FrameError(
            f"{path} is larger than ROIs are: {named} {size / 1e6:.0f} MB. It is not read."
        )


def _parsed(path: Path, name: str, content: bytes) -> ImagejRoi:
    try:
        return ImagejRoi.frombytes(content)
    except Exception as error:
        raise FrameError(f"{path}: ROI {name!r} is damaged: {error}. {AGAIN}") from error


def _is_area(roi: ImagejRoi) -> bool:
    plain = roi.subtype in (ROI_SUBTYPE.UNDEFINED, ROI_SUBTYPE.UNKNOWN)
    return plain and (roi.composite or roi.roitype in AREAS)


def _number(roi: ImagejRoi) -> int | None:
    """The object's own number, where its name is one."""
    name = roi.name
    return int(name) if name.isdecimal() and len(name) < 11 and int(name) else None


def _told_apart(
    places: Sequence[tuple[int | None, tuple[int, ...]]],
) -> list[tuple[int | None, tuple[int, ...]]]:
    """Names of ROIs are mostly no numbers of objects: where two of a frame are equal, all go."""
    named = [place for place in places if place[0] is not None]
    if len(set(named)) == len(named):
        return list(places)
    return [(None, at) for _, at in places]


def _place(path: Path, what: str, roi: ImagejRoi, canvas: Canvas) -> tuple[int, ...]:
    """Its frame: by time and slice of a hyperstack, or by its position in a stack."""
    n_leading = len(canvas.shape) - 2
    if not n_leading:
        return ()
    t, z = max(roi.t_position - 1, 0), max(roi.z_position - 1, 0)
    if n_leading == 1:
        at = max(roi.position, roi.t_position, roi.z_position, 1) - 1
        t, z = (0, at) if canvas.axes[0] == "Z" else (at, 0)
    return canvas.positions(t, z, f"{path}: {what}")
