"""A zip of ImageJ's ROIs: one a frame of each object, with its place in the stack."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from roifile import ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from napari_sam.engine import FrameError, Labelled, LeftOut, ObjectPrompts, Prompts

from .canvas import Canvas, plane
from .filling import Vertices, fill_frames, filled
from .outlines import Piece, by_object, outlines
from .reading import AGAIN, overlapped, read_bytes, vertices
from .records import Found, keep, one_by_one, tried

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
    rois, damaged = _rois(path)
    areas = [(what, roi) for what, roi in rois if _is_area(roi)]
    numbers = dict(zip([what for what, _ in areas], _numbers(roi for _, roi in areas), strict=True))

    def objects(what: str, roi: ImagejRoi) -> Iterator[Found]:
        yield Found(_rings(path, what, roi), numbers[what], _place(path, what, roi, canvas))

    kept = keep(path, chain(one_by_one(path, areas, objects), damaged))
    labels = canvas.empty(kept.highest_id)
    shapes, places = [each.shape for each in kept.objects], [each.at for each in kept.objects]
    problems = overlapped(path, fill_frames(labels, shapes, kept.ids, places))
    if left := len(rois) - len(areas):
        problems += (
            f"{left} ROIs of {path.name} are lines, points or texts, not areas; they are left out.",
        )
    return kept.labelled(canvas, labels, *problems)


def prompts(path: Path, canvas: Canvas) -> Iterator[ObjectPrompts | LeftOut]:
    """Rectangles as boxes, other areas as masks, each point as an object; lines are left out."""
    rois, damaged = _rois(path)
    numbers = dict(zip([what for what, _ in rois], _numbers(roi for _, roi in rois), strict=True))

    def prompts_of(what: str, roi: ImagejRoi) -> Iterator[ObjectPrompts]:
        known: dict[str, Any] = {"object_id": numbers[what] or 0}
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
            yield filled(_rings(path, what, roi), canvas.shape[-2:], **known)

    yield from one_by_one(path, rois, prompts_of)
    yield from damaged


def _rings(path: Path, what: str, roi: ImagejRoi) -> list[Vertices]:
    return [vertices(path, what, part)[:, ::-1] for part in roi.coordinates(multi=True)]


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


def _rois(path: Path) -> tuple[list[tuple[str, ImagejRoi]], list[LeftOut]]:
    """The ROIs of a zip, or one of a file, each with its place; and those that are damaged."""
    found = list(tried(path, _contents(path), lambda what, read: ImagejRoi.frombytes(read())))
    damaged = [each for each in found if isinstance(each, LeftOut)]
    return [each for each in found if not isinstance(each, LeftOut)], damaged


def _contents(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The places of ROIs, and what reads each, as far as a ROI can be large."""
    if path.suffix.lower() == ".roi":
        yield f"ROI {path.stem!r}", partial(read_bytes, path)
        return
    try:
        with zipfile.ZipFile(path) as file:
            infos = [info for info in file.infolist() if info.filename.lower().endswith(".roi")]
            if file.infolist() and not infos:
                raise FrameError(f"{path} holds no ROI. In Fiji: ROI Manager → More → Save….")
            _check(path, infos)
            for info in infos:
                yield f"ROI {info.filename!r}", partial(file.read, info)
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


def _is_area(roi: ImagejRoi) -> bool:
    plain = roi.subtype in (ROI_SUBTYPE.UNDEFINED, ROI_SUBTYPE.UNKNOWN)
    return plain and (roi.composite or roi.roitype in AREAS)


def _number(roi: ImagejRoi) -> int | None:
    """The object's own number, where its name is one."""
    name = roi.name
    return int(name) if name.isdecimal() and len(name) < 11 and int(name) else None


def _numbers(rois: Iterable[ImagejRoi]) -> list[int | None]:
    """Names of ROIs are mostly no numbers of objects: where two of a frame are equal, all go."""
    places = [(_number(roi), roi.t_position, roi.z_position, roi.position) for roi in rois]
    named = [place for place in places if place[0] is not None]
    is_unique = len(set(named)) == len(named)
    return [number if is_unique else None for number, *_ in places]


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
