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
and ``x1``; frames are in columns ``frame`` or ``t``, and ``z``. ``label`` is read where it is 1 or
0 beside an ``object_id``. Other columns are not read.
"""

from __future__ import annotations

import codecs
import csv
import gc
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from .crop import Box
from .errors import PromptError
from .left_out import LeftOut
from .prompt_rows import BOX_COLUMNS, FACT_COLUMNS, LABELS, POINT_COLUMNS, Layout, Row, read_rows
from .prompt_set import ObjectPrompts, PromptSet
from .prompts import Point, Prompts
from .writing import write_table

PromptTable: TypeAlias = dict[tuple[int, tuple[int, ...]], Prompts]
"""Prompts for each object id and each frame, given by its positions on the leading axes."""

KNOWN_AXES = (("t", "frame", "time"), ("z", "slice"))  # of tables that other programs wrote
SEPARATORS = ",;\t"
NAPARI_AXIS = "axis-"
ONE_BOX = "Give it one box and more points."


@dataclass(eq=False, slots=True)
class _Gathered:
    """The rows of one object in one frame."""

    where: str
    points: tuple[Point, ...] = ()
    labels: tuple[int, ...] = ()
    box: Box | None = None
    class_name: str = ""
    score: float | None = None

    def add(self, row: Row) -> None:
        """One more of its points, or its box."""
        if row.is_box:
            y0, x0, y1, x1 = row.coordinates
            self.box = (y0, x0, y1, x1)
        else:
            y, x = row.coordinates
            self.points += ((y, x),)
            self.labels += (row.label,)
        self.class_name = row.class_name or self.class_name
        self.score = self.score if row.score is None else row.score

    def prompts(self, object_id: int, at: tuple[int, ...] | None) -> ObjectPrompts:
        """All of them."""
        return ObjectPrompts(
            Prompts(self.points, self.labels, self.box),
            object_id=object_id,
            at=at,
            class_name=self.class_name,
            score=self.score,
            where=self.where,
        )


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
    path = Path(path)
    if not path.exists():
        raise PromptError(f"There is no file {path}. Check its name and folder.")
    try:
        with _collected_later():
            return PromptSet.of(_read(_decoded(path.read_bytes()), path.name), path.name)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PromptError(
            f"The prompts in {path} could not be read: {reason}. "
            "Give a table of text, saved as CSV (UTF-8)."
        ) from error


@contextmanager
def _collected_later() -> Iterator[None]:
    """A search for garbage among a million objects that all stay takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


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


def _read(text: str, name: str) -> Iterator[ObjectPrompts | LeftOut]:
    """The objects of a table in the order of their first rows, then the rows that are left out."""
    lines = io.StringIO(text, newline="")
    first = lines.readline()
    said = re.fullmatch(r'"?sep=(.)"?[;,\t]*\s*', first, re.IGNORECASE)
    names = lines.readline() if said else first
    separator = said[1] if said else max(SEPARATORS, key=names.count)
    reader = csv.reader(itertools.chain([names], lines), delimiter=separator)
    header = tuple(" ".join(column.split()).lower() for column in next(reader, []))
    layout = replace(_layout(header, name), decimal_commas=separator != ",")
    gathered: dict[tuple[int, tuple[int, ...]], _Gathered] = {}
    left_out: list[LeftOut] = []
    rows: Iterable[list[str]] = reader
    if not layout.has_kind and {"object_id", "label"} <= set(header):
        rows = list(reader)
        layout = replace(layout, has_labels=_are_labels_of_points(header, rows))
    for found in read_rows(header, rows, layout, first_line=3 if said else 2):
        if isinstance(found, LeftOut):
            left_out.append(found)
            continue
        line, row = found
        key = (row.object_id or -line, row.at)  # without a number each is an object of its own
        each = gathered.get(key)
        if each is None:
            each = gathered[key] = _Gathered(f"line {line}")
        if row.is_box and each.box is not None:
            reason = f"object {row.object_id} has a box in this frame already. {ONE_BOX}"
            left_out.append(LeftOut(f"line {line}", reason))
        else:
            each.add(row)
    for (object_id, at), each in gathered.items():
        yield each.prompts(max(0, object_id), at or None)
    yield from left_out


def _layout(header: Sequence[str], name: str) -> Layout:
    columns = set(header)
    if "kind" in columns:
        return Layout(_frame_axes(header, name))
    if {f"{NAPARI_AXIS}0", f"{NAPARI_AXIS}1"} <= columns:
        *axes, y, x = (column for column in header if column.startswith(NAPARI_AXIS))
        return Layout(tuple(axes), (y, x), has_kind=False, has_labels=False)
    if len(columns) < len(header) or not (
        columns.issuperset(POINT_COLUMNS[:2]) or columns.issuperset(BOX_COLUMNS)
    ):
        raise PromptError(
            f"{name}, line 1: the columns are {', '.join(header) or 'missing'}. Wanted are "
            "object_id, one for each frame axis, kind, then y, x, label, y0, x0, y1, x1, each "
            "once; or y and x of points; or y0, x0, y1, x1 of boxes."
        )
    axes = [next((column for column in names if column in columns), "") for names in KNOWN_AXES]
    return Layout(tuple(filter(None, axes)), has_kind=False, has_labels=False)


def _are_labels_of_points(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether ``label`` can only be 1 or 0 of points: scikit-image calls an object's number so."""
    at = header.index("label")
    return all(cell.strip() in LABELS for row in rows for cell in row[at : at + 1])


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
