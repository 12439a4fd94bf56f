"""Prompts of many objects and frames as a table: a CSV file that a spreadsheet can edit.

A header, then a row for each point and each box::

    object_id,frame,kind,y,x,label,y0,x0,y1,x1
    1,0,point,30.0,40.5,1,,,,
    1,0,point,55.0,40.0,0,,,,
    2,0,box,,,,10.0,12.0,48.0,51.5

===============  ===============================================================================
``object_id``    The object's id, 1 or more: what its pixels become in the labels.
any between      The frame: a column for each leading axis of the image, in the data's order and
                 under any name (``frame``; ``t``, ``z``). None at all for a single image.
``kind``         ``point`` or ``box``.
``y``, ``x``     A point, in frame pixels; the centre of the first pixel is 0, 0.
``label``        Of a point: 1 (or empty) if it belongs to the object, 0 if it does not.
``y0 x0 y1 x1``  A box, in frame pixels.
``class``        The object's class, if it has one.
``score``        How sure a detector was of it, if one found it.
===============  ===============================================================================

Rows with the same object and frame belong together: any number of points, in the order in which
they were clicked, and at most one box. Columns that a table does not use may be left out. Commas,
semicolons or tabs separate, or what a first line such as ``sep=;`` says; decimals have a point, or
a comma where that does not separate. UTF-8, or UTF-16 as spreadsheets write it. Masks do not fit
into a table.

Tables of other programs are read as well, each row as an object with the id in a column
``object_id`` or ``track_id`` if there is one: the points that napari saves
(``index,axis-0,axis-1,…``), and any table with columns ``y`` and ``x``, or ``y0``, ``x0``, ``y1``
and ``x1``; frames are in columns ``frame`` or ``t``, and ``z``. Other columns are not read.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from .crop import Box
from .errors import PromptError
from .frames import round_half_up
from .left_out import LeftOut
from .prompt_set import ObjectPrompts, PromptSet
from .prompts import Point, Prompts, checked_object_id
from .writing import write_table

PromptTable: TypeAlias = dict[tuple[int, tuple[int, ...]], Prompts]
"""Prompts for each object id and each frame, given by its positions on the leading axes."""

POINT_COLUMNS = ("y", "x", "label")
BOX_COLUMNS = ("y0", "x0", "y1", "x1")
FACT_COLUMNS = ("class", "score")
OWN_NUMBERS = ("object_id", "track_id")
KNOWN_AXES = (("t", "frame", "time"), ("z", "slice"))  # of tables that other programs wrote
SEPARATORS = ",;\t"
NAPARI_AXIS = "axis-"


@dataclass(frozen=True)
class Lines:
    """The text of a table: its columns, and its rows with their lines in the file."""

    name: str
    header: tuple[str, ...]
    separator: str
    rows: tuple[tuple[int, list[str]], ...]


@dataclass(frozen=True)
class Layout:
    """What the columns of a table mean."""

    frame_axes: tuple[str, ...]
    yx: tuple[str, str] = ("y", "x")
    has_kind: bool = True  # else each row is an object, and what is filled in tells its kind


@dataclass(eq=False)
class _Gathered:
    """The rows of one object in one frame."""

    where: str
    points: list[Point]
    labels: list[int]
    box: Box | None = None
    class_name: str = ""
    score: float | None = None


def read_prompts(path: str | Path) -> PromptTable:
    """Read a table of prompts, in the order of the file.

    A frame ``(2, 5)`` is that at ``stack.index(2, 5)``; without frame columns it is ``()``.

    Raises
    ------
    PromptError
        If the file is missing or no table, or a row is wrong: the message gives its line.
    """
    read = read_prompt_set(path)
    if read.left_out:
        first = read.left_out[0]
        raise PromptError(f"{read.source}, {first.where}: {first.reason}")
    return {(each.object_id, each.at or ()): each.prompts for each in read.objects}


def read_prompt_set(path: str | Path) -> PromptSet:
    """Read a table of prompts with classes and scores; rows that are wrong are left out.

    Raises
    ------
    PromptError
        If the file is missing or no table.
    """
    lines = _opened(Path(path))
    layout = _layout(lines.header, lines.name)
    gathered: dict[tuple[int, tuple[int, ...]], _Gathered] = {}
    left_out = []
    for nth, (number, row) in enumerate(lines.rows, start=1):
        where = f"line {number}"
        try:
            _gather(gathered, _cells(lines.header, row, lines.separator), layout, nth, where)
        except PromptError as error:
            left_out.append(LeftOut(where, str(error)))
    objects = (
        ObjectPrompts(
            Prompts(tuple(each.points), tuple(each.labels), each.box),
            object_id=max(0, object_id),
            at=at or None,
            class_name=each.class_name,
            score=each.score,
            where=each.where,
        )
        for (object_id, at), each in gathered.items()
    )
    return PromptSet.of(itertools.chain(objects, left_out), lines.name)


def write_prompts(
    path: str | Path,
    prompts: Mapping[tuple[int, tuple[int, ...]], Prompts],
    frame_axes: Sequence[str] | None = None,
) -> None:
    """Write a table that :func:`read_prompts` reads as the same prompts.

    Parameters
    ----------
    prompts
        By object id and frame; all frames with as many positions.
    frame_axes
        Names of the frame columns, such as ``("t", "z")``; by default ``frame``, or ``frame_0``,
        ``frame_1`` and so on.

    Raises
    ------
    PromptError
        If prompts have a mask, or frames do not fit the axes, or the file cannot be written.
    """
    n_axes = len(next(iter(prompts), (0, ()))[1])
    numbered = ("frame",) if n_axes == 1 else tuple(f"frame_{axis}" for axis in range(n_axes))
    names = numbered if frame_axes is None else tuple(frame_axes)
    if any(len(frame) != len(names) for _, frame in prompts):
        raise PromptError(
            f"Not every frame has {len(names)} positions, one for each of {names}. "
            "Write the prompts of one image at a time."
        )
    header = ("object_id", *names, "kind", *POINT_COLUMNS, *BOX_COLUMNS)
    rows = [row for key, given in prompts.items() for row in _rows(key, given)]
    write_table(path, header, rows)


def _rows(key: tuple[int, tuple[int, ...]], prompts: Prompts) -> Iterator[list[object]]:
    object_id, frame = key
    if prompts.mask is not None:
        raise PromptError(
            f"Object {object_id} is prompted by a mask, which does not fit into a table. "
            "Save its mask as labels and write its points and box alone: with_mask(None)."
        )
    if prompts.box is not None:
        yield [object_id, *frame, "box", "", "", "", *prompts.box]
    for point, label in zip(prompts.points, prompts.labels, strict=True):
        yield [object_id, *frame, "point", *point, label, "", "", "", ""]


def _decoded(content: bytes) -> str:
    """The text of a file, in UTF-8 or in UTF-16 as it is marked."""
    is_utf_16 = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return content.decode("utf-16" if is_utf_16 else "utf-8-sig")


def _opened(path: Path) -> Lines:
    if not path.exists():
        raise PromptError(f"There is no file {path}. Check its name and folder.")
    try:
        return _parsed(_decoded(path.read_bytes()), path.name)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PromptError(
            f"The prompts in {path} could not be read: {reason}. "
            "Give a table of text, saved as CSV (UTF-8)."
        ) from error


def _parsed(text: str, name: str) -> Lines:
    lines = list(io.StringIO(text, newline=""))
    said = re.fullmatch(r'"?sep=(.)"?[;,\t]*\s*', lines[0], re.IGNORECASE) if lines else None
    first = 1 if said else 0
    names = lines[first] if lines[first:] else ""
    separator = said[1] if said else max(SEPARATORS, key=names.count)
    reader = csv.reader(lines[first:], delimiter=separator)
    header = tuple(" ".join(column.split()).lower() for column in next(reader, []))
    rows = ((n, [cell.strip() for cell in row]) for n, row in enumerate(reader, start=first + 2))
    return Lines(name, header, separator, tuple(row for row in rows if any(row[1])))


def _layout(header: Sequence[str], name: str) -> Layout:
    columns = set(header)
    if "kind" in columns:
        return Layout(_frame_axes(header, name))
    if {f"{NAPARI_AXIS}0", f"{NAPARI_AXIS}1"} <= columns:
        *axes, y, x = (column for column in header if column.startswith(NAPARI_AXIS))
        return Layout(tuple(axes), (y, x), has_kind=False)
    if len(columns) < len(header) or not (
        columns.issuperset(POINT_COLUMNS[:2]) or columns.issuperset(BOX_COLUMNS)
    ):
        raise PromptError(
            f"{name}, line 1: the columns are {', '.join(header) or 'missing'}. Wanted are "
            "object_id, one for each frame axis, kind, then y, x, label, y0, x0, y1, x1, each "
            "once; or y and x of points; or y0, x0, y1, x1 of boxes."
        )
    axes = [next((column for column in names if column in columns), "") for names in KNOWN_AXES]
    return Layout(tuple(filter(None, axes)), has_kind=False)


def _frame_axes(header: Sequence[str], name: str) -> tuple[str, ...]:
    if header[:1] != ("object_id",) or len(set(header)) < len(header):
        raise PromptError(
            f"{name}, line 1: the columns are {', '.join(header)}. Wanted are "
            "object_id, one for each frame axis, kind, then y, x, label, y0, x0, y1, x1, each once."
        )
    kind = header.index("kind")
    own = {*POINT_COLUMNS, *BOX_COLUMNS, *FACT_COLUMNS}
    unknown = [column for column in header[kind + 1 :] if column not in own]
    misplaced = [column for column in header[:kind] if column in own]
    if unknown or misplaced:
        raise PromptError(
            f"{name}, line 1: the column {(unknown + misplaced)[0]!r} is not expected there. "
            "Frame axes stand before kind; after it y, x, label, y0, x0, y1, x1, class and score."
        )
    return tuple(header[1:kind])


def _cells(header: Sequence[str], row: Sequence[str], separator: str) -> dict[str, str]:
    if any(row[len(header) :]):
        raise PromptError(
            f"{len(row)} cells were found under {len(header)} columns. Write decimals with "
            "a point, and one separator between two cells."
        )
    if separator != ",":
        row = [re.sub(r"^([+-]?\d*),(\d+)$", r"\1.\2", cell) for cell in row]
    return dict(zip(header, [*row, *[""] * (len(header) - len(row))], strict=False))


def _gather(
    gathered: dict[tuple[int, tuple[int, ...]], _Gathered],
    cells: Mapping[str, str],
    layout: Layout,
    nth: int,
    where: str,
) -> None:
    """Add what a row says to the object and frame that it is of."""
    named = ("object_id",) if layout.has_kind else OWN_NUMBERS
    own = next((name for name in named if cells.get(name) or layout.has_kind), None)
    object_id = -nth if own is None else checked_object_id(_whole(cells, own))  # below 0: none yet
    at = tuple(_position(cells, axis, layout.has_kind) for axis in layout.frame_axes)
    known = gathered.get((object_id, at)) or _Gathered(where, [], [])
    is_box = cells["kind"] == "box" if layout.has_kind else not cells.get(layout.yx[0])
    if layout.has_kind and cells["kind"] not in ("box", "point"):
        raise PromptError(f"the kind is {cells['kind']!r}. Write point or box.")
    if is_box and known.box is not None:
        raise PromptError(
            f"object {object_id} has a box in this frame already. Give it one box and more points."
        )
    score = _number(cells, "score") if cells.get("score") else known.score
    if is_box:
        y0, x0, y1, x1 = (_number(cells, column) for column in BOX_COLUMNS)
        known.box = (y0, x0, y1, x1)
    else:
        counts = layout.has_kind and cells.get("label")
        label = _label(cells) if counts else 1
        y, x = layout.yx
        known.points.append((_number(cells, y), _number(cells, x)))
        known.labels.append(label)
    known.score, known.class_name = score, cells.get("class") or known.class_name
    gathered[object_id, at] = known


def _position(cells: Mapping[str, str], axis: str, is_whole: bool) -> int:
    """The position of a frame; points of other programs may lie between two."""
    if is_whole:
        return _whole(cells, axis, at_least=0)
    position = round_half_up(_number(cells, axis))
    if position < 0:
        raise PromptError(f"the point is before the first frame, at {position}.")
    return position


def _label(cells: Mapping[str, str]) -> int:
    label = _whole(cells, "label", at_least=0)
    if label > 1:
        raise PromptError(
            f"the label is {label}. Write 1 for the object, 0 for what does not belong to it."
        )
    return label


def _whole(cells: Mapping[str, str], column: str, at_least: int | None = None) -> int:
    number = _number(cells, column)
    if number != int(number) or (at_least is not None and number < at_least):
        more = "" if at_least is None else f" of {at_least} or more"
        raise PromptError(f"{column} is {cells[column]}. Write a whole number{more}.")
    return int(number)


def _number(cells: Mapping[str, str], column: str) -> float:
    text = cells.get(column, "")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        given = repr(text) if text else "missing"
        raise PromptError(f"{column} is {given}. Write a number such as 3.5.")
    return number
