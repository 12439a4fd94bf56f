"""What the rows of a table of prompts mean: thousands at once, and those that are odd one by one.

Columns are read as a whole, which is several times as fast as row by row. Rows that do not fit are
read again by :func:`read_row`, which says what is wrong.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import PromptError
from .frames import round_half_up
from .left_out import LeftOut
from .prompts import HIGHEST_ID, checked_object_id

POINT_COLUMNS = ("y", "x", "label")
BOX_COLUMNS = ("y0", "x0", "y1", "x1")
FACT_COLUMNS = ("class", "score")
OWN_NUMBERS = ("object_id", "track_id")
LABELS = {"": 1, "1": 1, "1.0": 1, "0": 0, "0.0": 0}  # as they are usually written
AT_ONCE = 4096  # rows
LAST_FRAME = 2.0**53  # from here on not every whole number is a float

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """What the columns of a table mean."""

    frame_axes: tuple[str, ...]
    yx: tuple[str, str] = ("y", "x")
    has_kind: bool = True  # else each row is an object, and what is filled in tells its kind
    has_labels: bool = True  # of points; what other programs call so is not read
    decimal_commas: bool = False  # as well as points


class Row(NamedTuple):
    """A point or a box."""

    object_id: int  # 0: it has none of its own
    at: tuple[int, ...]
    is_box: bool
    coordinates: tuple[float, ...]  # y, x; or y0, x0, y1, x1
    label: int
    class_name: str
    score: float | None


def read_rows(
    header: Sequence[str], rows: Iterable[Sequence[str]], layout: Layout, first_line: int
) -> Iterator[tuple[int, Row] | LeftOut]:
    """Each row with its line, or why it is left out; empty ones are skipped."""
    rows = iter(rows)
    while several := list(itertools.islice(rows, AT_ONCE)):
        at_once, are_fine = _rows(header, several, layout)
        for line, (row, is_fine) in enumerate(zip(at_once, are_fine, strict=True), first_line):
            if is_fine:
                yield line, row
            elif any(map(str.strip, cells := several[line - first_line])):
                try:
                    yield line, read_row(header, cells, layout)
                except PromptError as error:
                    yield LeftOut(f"line {line}", str(error))
        first_line += len(several)


@dataclass(frozen=True, eq=False)
class _Columns:
    """Some rows of a table, by its columns; one that is missing is empty."""

    cells: Mapping[str, Sequence[str]]
    n_rows: int
    layout: Layout

    def texts(self, name: str) -> list[str]:
        """Without spaces around them."""
        if name not in self.cells:
            return [""] * self.n_rows
        return [cell.strip() for cell in self.cells[name]]

    def numbers(self, name: str) -> Floats:
        """NaN where there is none, or an infinite one."""
        texts = self.texts(name)
        if not any(texts):
            return np.full(self.n_rows, np.nan)
        try:
            numbers = np.array(list(map(float, texts)))
        except ValueError:
            numbers = np.array([_float(text, self.layout) for text in texts])
        numbers[np.isinf(numbers)] = np.nan
        return numbers


def _rows(
    header: Sequence[str], rows: Sequence[Sequence[str]], layout: Layout
) -> tuple[Iterator[Row], list[bool]]:
    """All rows, and whether each is as it should be; of others nothing is right."""
    cells = list(itertools.zip_longest(*rows, fillvalue=""))
    columns = _Columns(dict(zip(header, cells, strict=False)), len(rows), layout)
    if layout.has_kind:
        kinds = np.array(columns.texts("kind"))
        is_box, is_fine = kinds == "box", (kinds == "box") | (kinds == "point")
    else:
        is_box = ~_filled(columns.texts(layout.yx[0]))
        is_fine = np.ones(len(rows), bool)
    points, boxes = (
        np.array([columns.numbers(name) for name in names]) for names in (layout.yx, BOX_COLUMNS)
    )
    ids, frames = _object_ids(columns), [_positions(columns, axis) for axis in layout.frame_axes]
    texts = columns.texts("label" if layout.has_labels else "")
    labels = np.where(is_box, 1, [LABELS.get(text, -1) for text in texts])
    texts, scores = columns.texts("score"), columns.numbers("score")
    is_fine &= np.where(is_box, *(np.isfinite(each).all(axis=0) for each in (boxes, points)))
    is_fine &= np.all([np.array(each) >= 0 for each in (ids, labels, *frames)], axis=0)
    is_fine &= np.isfinite(scores) | ~_filled(texts)
    for more in cells[len(header) :]:
        is_fine &= ~_filled(more)
    corners, places = (zip(*each.tolist(), strict=True) for each in (boxes, points))
    coordinates = zip(is_box.tolist(), corners, places, strict=True)
    read = zip(
        ids.tolist(),
        zip(*(each.tolist() for each in frames), strict=True) if frames else [()] * len(rows),
        is_box.tolist(),
        (box if boxed else point for boxed, box, point in coordinates),
        labels.tolist(),
        columns.texts("class"),
        (score if text else None for text, score in zip(texts, scores.tolist(), strict=True)),
        strict=True,
    )
    return map(Row._make, read), is_fine.tolist()


def _object_ids(columns: _Columns) -> NDArray[np.int64]:
    """0: it has none of its own; -1: it is not as it should be."""
    named = OWN_NUMBERS[:1] if columns.layout.has_kind else OWN_NUMBERS
    name = next((name for name in named if name in columns.cells), None)
    if name is None:
        return np.zeros(columns.n_rows, np.int64)
    numbers = columns.numbers(name)
    is_id = (numbers >= 1) & (numbers <= HIGHEST_ID) & (numbers == np.floor(numbers))
    return np.where(is_id, numbers, -1).astype(np.int64)


def _positions(columns: _Columns, axis: str) -> NDArray[np.int64]:
    """-1: it is not as it should be."""
    numbers = columns.numbers(axis)
    below = np.floor(numbers)
    is_position = (numbers >= 0) & (numbers < LAST_FRAME)
    if columns.layout.has_kind:
        is_position &= numbers == below
    else:
        below += numbers - below >= 0.5
    return np.where(is_position, below, -1).astype(np.int64)


def _filled(cells: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([bool(cell.strip()) for cell in cells])


def _cells(header: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    if any(map(str.strip, row[len(header) :])):
        raise PromptError(
            f"{len(row)} cells were found under {len(header)} columns. Write decimals with "
            "a point, and one separator between two cells."
        )
    return dict(itertools.zip_longest(header, map(str.strip, row[: len(header)]), fillvalue=""))


def read_row(header: Sequence[str], row: Sequence[str], layout: Layout) -> Row:
    """What a row says.

    Raises
    ------
    PromptError
        If something is wrong with it.
    """
    cells = _cells(header, row)
    named = OWN_NUMBERS[:1] if layout.has_kind else OWN_NUMBERS
    own = next((name for name in named if cells.get(name) or layout.has_kind), None)
    object_id = 0 if own is None else checked_object_id(_whole(cells, own, layout))
    at = tuple(_position(cells, axis, layout) for axis in layout.frame_axes)
    is_box = cells["kind"] == "box" if layout.has_kind else not cells.get(layout.yx[0])
    if layout.has_kind and cells["kind"] not in ("box", "point"):
        raise PromptError(f"the kind is {cells['kind']!r}. Write point or box.")
    coordinates = tuple(
        _number(cells, column, layout) for column in (BOX_COLUMNS if is_box else layout.yx)
    )
    is_labelled = layout.has_labels and not is_box and cells.get("label")
    label = _label(cells, layout) if is_labelled else 1
    score = _number(cells, "score", layout) if cells.get("score") else None
    return Row(object_id, at, is_box, coordinates, label, cells.get("class", ""), score)


def _position(cells: Mapping[str, str], axis: str, layout: Layout) -> int:
    """The position of a frame; points of other programs may lie between two."""
    if layout.has_kind:
        return _whole(cells, axis, layout, at_least=0)
    position = round_half_up(_number(cells, axis, layout))
    if position < 0:
        raise PromptError(f"the point is before the first frame, at {position}.")
    return position


def _label(cells: Mapping[str, str], layout: Layout) -> int:
    label = _whole(cells, "label", layout, at_least=0)
    if label > 1:
        raise PromptError(
            f"the label is {label}. Write 1 for the object, 0 for what does not belong to it."
        )
    return label


def _whole(
    cells: Mapping[str, str], column: str, layout: Layout, at_least: int | None = None
) -> int:
    number = _number(cells, column, layout)
    if number != int(number) or (at_least is not None and number < at_least):
        more = "" if at_least is None else f" of {at_least} or more"
        raise PromptError(f"{column} is {cells[column]}. Write a whole number{more}.")
    return int(number)


def _number(cells: Mapping[str, str], column: str, layout: Layout) -> float:
    text = cells.get(column, "")
    number = _float(text, layout)
    if not math.isfinite(number):
        given = repr(text) if text else "missing"
        raise PromptError(f"{column} is {given}. Write a number such as 3.5.")
    return number


def _float(text: str, layout: Layout) -> float:
    try:
        return float(text.replace(",", ".") if layout.decimal_commas else text)
    except ValueError:
        return math.nan
