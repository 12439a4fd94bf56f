"""A table of tracks: id, parent, frame, (z), y, x and area, a row an object and frame."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from napari_sam.engine import FrameError, Labelled, read_review

from .canvas import Canvas
from .lineage import USUAL_RADIUS, Point, draw, lineage, texts_of
from .reading import AGAIN, FARTHEST, read_bytes, whole
from .records import Found, keep, one_by_one

NAMES = {"id": ("id", "track_id", "trackid", "track"), "frame": ("frame", "t", "time")}
MOST_ROWS = 5_000_000
Row = TypeVar("Row")


def write(objects: Labelled, path: Path) -> None:
    """In pixels; class and review state where any object has one."""
    lineage(objects)[0].write_csv(path, texts_of(objects))


def read(path: Path, canvas: Canvas) -> Labelled:
    """Positions only: discs of their area, or of a usual size, where no labels are given."""
    text = read_bytes(path).decode("utf-8-sig", "replace")
    rows = csv.DictReader(io.StringIO(text))
    header = [str(name).strip().lower() for name in rows.fieldnames or ()]
    rows.fieldnames = header
    columns = {key: next((n for n in names if n in header), None) for key, names in NAMES.items()}
    missing = [key for key, name in columns.items() if name is None]
    missing += [name for name in ("y", "x") if name not in header]
    if missing:
        raise FrameError(
            f"{path} has no column {missing[0]!r}. Wanted are id, frame, y and x, and perhaps z, "
            "parent and area."
        )
    id_name, frame_name = str(columns["id"]), str(columns["frame"])

    def point(what: str, row: dict[str, str]) -> Iterator[Found]:
        of = f"the %s of {what}"
        number = whole(path, of % "id", row[id_name], 1)
        t = whole(path, of % "frame", row[frame_name])
        z = round(_number(path, of % "z", row.get("z") or "0"))
        y, x = (_number(path, of % name, row[name]) for name in "yx")
        area = _number(path, of % "area", row.get("area") or "0")
        yield Found(
            Point(y, x, math.sqrt(area / math.pi) if area > 0 else USUAL_RADIUS),
            number,
            canvas.positions(t, z, f"{path}: {what}"),
            row.get("class") or "",
            read_review(row),
            tuple(whole(path, of % "parent", m, 1) for m in str(row.get("parent") or "").split()),
        )

    numbered = ((f"line {n}", row) for n, row in enumerate(_at_most(path, rows), 2))
    kept = keep(path, one_by_one(path, numbered, point), once=False)
    return draw(path, kept, canvas)


def _at_most(path: Path, rows: Iterable[Row]) -> Iterator[Row]:
    for n, row in enumerate(rows):
        if n >= MOST_ROWS:
            raise FrameError(f"{path} has over {MOST_ROWS} rows. Import it in parts.")
        yield row


def _number(path: Path, what: str, text: str | None) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not abs(number) < FARTHEST:
        raise FrameError(f"{path}: {what} is {text!r}, where a number is wanted. {AGAIN}")
    return number
