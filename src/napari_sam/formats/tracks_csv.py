"""A table of tracks: id, parent, frame, (z), y, x and area, a row an object and frame."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import (
    HIGHEST_ID,
    REVIEW_COLUMNS,
    FrameError,
    Labelled,
    LeftOut,
    read_review,
)

from .canvas import Canvas
from .lineage import USUAL_RADIUS, Point, draw, lineage, texts_of
from .reading import AGAIN, FARTHEST, read_bytes, whole
from .records import Found, keep, one_by_one

NAMES = {"id": ("id", "track_id", "trackid", "track"), "frame": ("frame", "t", "time")}
MOST_ROWS = 5_000_000
AT_ONCE = 4096  # rows
Row: TypeAlias = list[str]


def write(objects: Labelled, path: Path) -> None:
    """In pixels; class and review state where any object has one."""
    lineage(objects)[0].write_csv(path, texts_of(objects))


def read(path: Path, canvas: Canvas) -> Labelled:
    """Positions only: discs of their area, or of a usual size, where no labels are given."""
    rows = csv.reader(io.StringIO(read_bytes(path).decode("utf-8-sig", "replace")))
    header = [name.strip().lower() for name in next(rows, [])]
    columns = {key: next((n for n in names if n in header), None) for key, names in NAMES.items()}
    missing = [key for key, name in columns.items() if name is None]
    missing += [name for name in ("y", "x") if name not in header]
    if missing:
        raise FrameError(
            f"{path} has no column {missing[0]!r}. Wanted are id, frame, y and x, and perhaps z, "
            "parent and area."
        )
    table = _Table(path, canvas, header, str(columns["id"]), str(columns["frame"]))
    kept = keep(path, table.objects(_at_most(path, filter(None, rows))), once=False)
    return draw(path, kept, canvas)


@dataclass(frozen=True, eq=False)
class _Table:
    """A table whose rows are read by columns, thousands at once; those that are odd one by one."""

    path: Path
    canvas: Canvas
    header: Sequence[str]
    id_name: str
    frame_name: str
    _places: dict[tuple[float, float], tuple[int, ...] | None] = field(default_factory=dict)
    _known_mothers: dict[str, tuple[int, ...] | None] = field(default_factory=dict)

    def objects(self, rows: Iterator[Row]) -> Iterator[Found | LeftOut]:
        """What each row says, or why it is left out."""
        line = 2
        while several := list(itertools.islice(rows, AT_ONCE)):
            for row, found in zip(several, self._at_once(several, line), strict=True):
                if found is None:
                    named = dict(itertools.zip_longest(self.header, row[: len(self.header)]))
                    yield from one_by_one(self.path, [(f"line {line}", named)], self._one)
                else:
                    yield found
                line += 1

    def _at_once(self, rows: Sequence[Row], first_line: int) -> Iterator[Found | None]:
        """The object of each row; ``None`` where the row has to be looked at."""
        cells = itertools.zip_longest(*rows, fillvalue="")
        columns = dict(zip(self.header, map(list, cells), strict=False))
        empty = [""] * len(rows)
        ids, frames, y, x = (
            _numbers(columns.get(name, empty)) for name in (self.id_name, self.frame_name, *"yx")
        )
        z, area = (_numbers(columns.get(name, empty), "0") for name in ("z", "area"))
        is_fine = np.all([np.abs(each) < FARTHEST for each in (z, y, x, area)], axis=0)
        for whole_ones, lowest in ((ids, 1), (frames, 0)):
            is_fine &= (whole_ones >= lowest) & (whole_ones <= HIGHEST_ID)
            is_fine &= whole_ones == np.floor(whole_ones)
        radii = np.where(area > 0, np.sqrt(np.maximum(area, 0) / np.pi), USUAL_RADIUS)
        numbers = (each[is_fine].tolist() for each in (ids, frames, z, y, x, radii))
        fine = zip(*numbers, strict=True)
        texts = (columns.get(name, empty) for name in ("class", "parent", *REVIEW_COLUMNS))
        for line, (is_one, *said) in enumerate(zip(is_fine, *texts, strict=True), first_line):
            yield self._fine(line, next(fine), *said) if is_one else None

    def _fine(
        self, line: int, numbers: tuple[float, ...], class_name: str, parent: str, *review: str
    ) -> Found | None:
        number, frame, z, y, x, radius = numbers
        at, mothers = self._place(frame, z), self._mothers(parent)
        if at is None or mothers is None:
            return None
        state = read_review(dict(zip(REVIEW_COLUMNS, review, strict=True))) if review[0] else None
        place = Point(y, x, radius)
        return Found(place, int(number), at, class_name, state, mothers, f"line {line}")

    def _place(self, frame: float, z: float) -> tuple[int, ...] | None:
        if (frame, z) not in self._places:
            place = None
            with contextlib.suppress(FrameError):
                place = self.canvas.positions(int(frame), round(z), "")
            self._places[frame, z] = place
        return self._places[frame, z]

    def _mothers(self, parent: str) -> tuple[int, ...] | None:
        if parent not in self._known_mothers:
            mothers = None
            with contextlib.suppress(FrameError):
                mothers = tuple(whole(self.path, "", each, 1) for each in parent.split())
            self._known_mothers[parent] = mothers
        return self._known_mothers[parent]

    def _one(self, what: str, row: dict[str, str]) -> Iterator[Found]:
        """What one row says, however it is."""
        of = f"the %s of {what}"
        number = whole(self.path, of % "id", row[self.id_name], 1)
        t = whole(self.path, of % "frame", row[self.frame_name])
        z = round(_number(self.path, of % "z", row.get("z") or "0"))
        y, x = (_number(self.path, of % name, row[name]) for name in "yx")
        area = _number(self.path, of % "area", row.get("area") or "0")
        yield Found(
            Point(y, x, math.sqrt(area / math.pi) if area > 0 else USUAL_RADIUS),
            number,
            self.canvas.positions(t, z, f"{self.path}: {what}"),
            row.get("class") or "",
            read_review(row),
            tuple(
                whole(self.path, of % "parent", each, 1)
                for each in str(row.get("parent") or "").split()
            ),
        )


def _numbers(cells: Sequence[str], missing: str = "") -> NDArray[np.float64]:
    """NaN where there is none."""
    if not any(cells):
        return np.full(len(cells), _float(missing))
    try:
        return np.array([float(cell or missing) for cell in cells])
    except ValueError:
        return np.array([_float(cell or missing) for cell in cells])


def _at_most(path: Path, rows: Iterable[Row]) -> Iterator[Row]:
    for n, row in enumerate(rows):
        if n >= MOST_ROWS:
            raise FrameError(f"{path} has over {MOST_ROWS} rows. Import it in parts.")
        yield row


def _number(path: Path, what: str, text: str | None) -> float:
    number = _float(text or "")
    if not abs(number) < FARTHEST:
        raise FrameError(f"{path}: {what} is {text!r}, where a number is wanted. {AGAIN}")
    return number


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
