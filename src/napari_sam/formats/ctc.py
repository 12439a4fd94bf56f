"""Cell Tracking Challenge: a TIFF a time point, and a line a track: number, first, last, mother."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam.engine import FrameError, Labelled, read_labels

from .canvas import Canvas
from .lineage import lineage
from .reading import AGAIN, read_bytes, whole

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
            "Number the objects anew."
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
    frames = [np.asarray(read_labels(found[t])[0][...]) for t in sorted(found)]
    if len({each.shape for each in frames}) > 1:
        raise FrameError(f"The masks in {path} have different sizes. {AGAIN}")
    labels = np.stack(frames)
    axes = "TYX" if labels.ndim == 3 else "TZYX"
    parents = _parents(table)
    if canvas is not None and canvas.shape == labels.shape:
        return canvas.labelled(labels, parents=parents)
    if labels.shape[0] == 1 and canvas is not None and canvas.shape == labels.shape[1:]:
        return canvas.labelled(labels[0], parents=parents)
    return Labelled.of(labels, axes=axes, parents=parents)


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


def _parents(table: Path) -> dict[int, tuple[int, ...]]:
    """Mothers by the table of tracks."""
    parents: dict[int, tuple[int, ...]] = {}
    seen: set[int] = set()
    for n, line in enumerate(read_bytes(table).decode("utf-8", "replace").splitlines(), 1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) != 4:
            raise FrameError(
                f"{table}: line {n} has {len(cells)} numbers. Wanted are four: track, first frame, "
                f"last frame, mother. {AGAIN}"
            )
        number, first, last, mother = (whole(table, f"a number of line {n}", c) for c in cells)
        if number in seen or first > last or number == mother:
            raise FrameError(
                f"{table}: line {n} is no track: {line.strip()!r} ends before it begins, is its "
                f"own mother, or is there twice. {AGAIN}"
            )
        seen.add(number)
        if mother:
            parents[number] = (mother,)
    return parents
