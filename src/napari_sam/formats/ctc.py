"""Cell Tracking Challenge: a TIFF a time point, and a line a track: number, first, last, mother."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam.engine import FrameError, Labelled, LeftOut, read_labels, sentences_of

from .canvas import Canvas
from .lineage import lineage
from .reading import AGAIN, read_bytes, whole
from .records import refuse_most, tried

MASKS = re.compile(r"(?:mask|man_track)(\d+)\.tif", re.IGNORECASE)
TABLES = ("res_track.txt", "man_track.txt")
HIGHEST = np.iinfo(np.uint16).max


def write(objects: Labelled, path: Path) -> None:
    """Tracks have no gaps there: after one an object goes on as its own daughter."""
    tracks, _ = lineage(objects)
    segments: dict[tuple[int, int], int] = {}  # object and frame → number of the track
    lines: list[tuple[int, int, int, int]] = []
    last: dict[int, int] = {}  # the last track of an object
    free = int(tracks.ids.max(initial=0))
    for object_id in np.unique(tracks.ids).tolist():
        frames = tracks.frames[tracks.ids == object_id]
        for n, part in enumerate(np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)):
            number = object_id
            if n:
                free += 1
                number = free
            lines.append((number, int(part[0]), int(part[-1]), last.get(object_id, 0) if n else -1))
            segments |= {(object_id, frame): number for frame in part.tolist()}
            last[object_id] = number
    if free > HIGHEST:
        raise FrameError(
            f"The Cell Tracking Challenge has numbers up to {HIGHEST}; here they go up to {free}. "
            "Number the objects anew, or export a part of them."
        )
    rows = []
    for number, first, end, before in sorted(lines):
        mothers = objects.parents.get(number, ()) if before < 0 else (before,)
        mother = last.get(mothers[0], 0) if before < 0 and mothers else max(before, 0)
        rows.append(f"{number} {first} {end} {mother}\n")
    (path / TABLES[0]).write_text("".join(rows), "utf-8")
    _write_masks(objects, path, segments)


def read(path: Path, canvas: Canvas | None) -> Labelled:
    """A folder of masks with its table of tracks."""
    found = {int(m[1]): file for file in path.iterdir() if (m := MASKS.fullmatch(file.name))}
    table = next((path / name for name in TABLES if (path / name).is_file()), None)
    if not found or table is None:
        raise FrameError(
            f"{path} is no folder of the Cell Tracking Challenge: mask000.tif and {TABLES[0]} are "
            "wanted in it. Choose another format with --from."
        )
    parents, wrong = _parents(table)
    labels, damaged = _frames(path, found)
    axes = "TYX" if labels.ndim == 3 else "TZYX"
    known: dict[str, Any] = {
        "parents": parents,
        "problems": (*sentences_of(damaged, path.name), *sentences_of(wrong, table.name)),
    }
    if canvas is not None and canvas.shape == labels.shape:
        return canvas.labelled(labels, **known)
    if labels.shape[0] == 1 and canvas is not None and canvas.shape == labels.shape[1:]:
        return canvas.labelled(labels[0], **known)
    return Labelled.of(labels, axes=axes, **known)


def _frames(path: Path, found: Mapping[int, Path]) -> tuple[NDArray[Any], list[LeftOut]]:
    """The masks of all time points from first to last; those that are damaged stay empty."""
    read = tried(
        path,
        ((file.name, (t, file)) for t, file in sorted(found.items())),
        lambda _, at: (at[0], np.asarray(read_labels(at[1])[0][...])),
    )
    frames: dict[int, NDArray[Any]] = {}
    left_out: list[LeftOut] = []
    for each in read:
        if isinstance(each, LeftOut):
            left_out.append(LeftOut(each.where, f"{each.reason.rstrip('.')}. Its frame is empty"))
        else:
            t, mask = each[1]
            frames[t] = mask
    refuse_most(path, left_out, len(found))
    if len({each.shape for each in frames.values()}) > 1:
        raise FrameError(f"The masks in {path} have different sizes. {AGAIN}")
    times = range(min(found), max(found) + 1)
    left_out += [
        LeftOut(f"time point {t}", "it has no mask. Its frame is empty")
        for t in times
        if t not in found
    ]
    empty = np.zeros_like(next(iter(frames.values())))
    return np.stack([frames.get(t, empty) for t in times]), left_out


def _write_masks(objects: Labelled, path: Path, segments: dict[tuple[int, int], int]) -> None:
    """Frame by frame, with the numbers of tracks."""
    axis = max(objects.axes.find("T"), 0) if len(objects.axes) > 2 else None
    if objects.axes == "ZYX":
        axis = None
    n_frames = 1 if axis is None else objects.shape[axis]
    digits = max(3, len(str(n_frames - 1)))
    for t in range(n_frames):
        where: Any = ... if axis is None else (*(slice(None),) * axis, t)
        pixels: NDArray[Any] = np.asarray(objects.labels[where])
        ids, places = np.unique(pixels, return_inverse=True)
        numbers = [segments.get((object_id, t), 0) for object_id in ids.tolist()]
        mask = np.array(numbers, np.uint16)[places].reshape(pixels.shape)
        name = f"mask{t:0{digits}d}.tif"
        tifffile.imwrite(path / name, mask, photometric="minisblack", compression="zlib")


def _parents(table: Path) -> tuple[dict[int, tuple[int, ...]], list[LeftOut]]:
    """Mothers by the table of tracks; lines that are wrong are left out."""
    lines = read_bytes(table).decode("utf-8", "replace").splitlines()
    rows = [(f"line {n}", line.split()) for n, line in enumerate(lines, 1) if line.strip()]
    seen: set[int] = set()
    parents: dict[int, tuple[int, ...]] = {}

    def read(what: str, cells: list[str]) -> None:
        if len(cells) != 4:
            raise FrameError(
                f"it has {len(cells)} numbers. Wanted are four: track, first frame, last frame, "
                "mother"
            )
        number, first, last, mother = (whole(table, "a number of it", cell) for cell in cells)
        if number in seen or first > last or number == mother:
            raise FrameError("it ends before it begins, is its own mother, or is there twice")
        seen.add(number)
        if mother:
            parents[number] = (mother,)

    wrong = [each for each in tried(table, rows, read) if isinstance(each, LeftOut)]
    refuse_most(table, wrong, len(rows))
    return parents, wrong
