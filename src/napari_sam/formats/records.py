"""Records of a file, one by one: a wrong one is left out, counted and named; the rest goes on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from napari_sam.engine import (
    MOSTLY,
    TWICE,
    FrameError,
    Labelled,
    LeftOut,
    ObjectPrompts,
    Review,
    SamError,
    decoding,
    sentences_of,
)

from .canvas import Canvas
from .reading import AGAIN

Record = TypeVar("Record")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Found:
    """An object in a frame, as a file has it."""

    shape: Any  # what its format draws: rings, run lengths, a disc
    number: int | None = None  # None: it has none of its own
    at: tuple[int, ...] = ()  # the frame, on the leading axes
    class_name: str = ""
    review: Review | None = None
    parents: tuple[int, ...] = ()
    where: str = ""  # its place in the file: "annotation 7"


Each = TypeVar("Each", ObjectPrompts, Found)


def tried(
    path: Path, records: Iterable[tuple[str, Record]], read: Callable[[str, Record], Result]
) -> Iterator[tuple[str, Result] | LeftOut]:
    """What is read of each record; whatever is wrong with one does not end the others.

    Parameters
    ----------
    records
        Each with its place: "annotation 7".
    read
        Is given the place and the record.
    """
    for where, record in records:
        try:
            with decoding("it", AGAIN):
                result = read(where, record)
        except SamError as error:
            said = str(error).removeprefix(f"{path}: ").removeprefix(f"{where}: ")
            yield LeftOut(where, said.removesuffix(AGAIN).strip())
        else:
            yield where, result


def one_by_one(
    path: Path,
    records: Iterable[tuple[str, Record]],
    read: Callable[[str, Record], Iterable[Each]],
) -> Iterator[Each | LeftOut]:
    """The prompts or objects of each record, with their place, as :func:`tried` reads them."""
    for each in tried(path, records, lambda where, record: list(read(where, record))):
        if isinstance(each, LeftOut):
            yield each
        else:
            where, objects = each
            for found in objects:
                yield replace(found, where=where)


def counted(kind: str, records: Iterable[Record]) -> Iterator[tuple[str, Record]]:
    """Records with their places, counted from 0: "annotation 7"."""
    return ((f"{kind} {n}", record) for n, record in enumerate(records))


@dataclass(frozen=True, eq=False)
class Kept:
    """The objects of a file that can be used, each with a number, and what to say of the others."""

    objects: tuple[Found, ...]
    ids: tuple[int, ...]
    problems: tuple[str, ...]

    @property
    def highest_id(self) -> int:
        """The highest number; 0 without any."""
        return max(self.ids, default=0)

    def only(self, rows: Sequence[int]) -> Kept:
        """Some of them."""
        return replace(
            self,
            objects=tuple(self.objects[row] for row in rows),
            ids=tuple(self.ids[row] for row in rows),
        )

    def labelled(self, canvas: Canvas, labels: NDArray[Any], *more: str, **known: Any) -> Labelled:
        """Labels in which they are drawn, with what the file says of them.

        Parameters
        ----------
        more
            Further problems, in sentences.
        """
        pairs = list(zip(self.ids, self.objects, strict=True))
        facts: dict[str, Any] = {
            "classes": {i: each.class_name for i, each in pairs if each.class_name},
            "reviews": {i: each.review for i, each in pairs if each.review},
            "parents": {i: each.parents for i, each in pairs if each.parents},
        }
        return canvas.labelled(labels, **facts | known, problems=(*self.problems, *more))


def keep(path: Path, found: Iterable[Found | LeftOut], *, once: bool = True) -> Kept:
    """Those of a file that can be used; objects without a number get the next that is free.

    Parameters
    ----------
    once
        Whether of two with the same number in one frame the second is left out.

    Raises
    ------
    FrameError
        If most of the file cannot be used.
    """
    objects: list[Found] = []
    left_out: list[LeftOut] = []
    seen: set[tuple[int, tuple[int, ...]]] = set()
    for each in found:
        if isinstance(each, LeftOut):
            left_out.append(each)
        elif once and each.number is not None and (each.number, each.at) in seen:
            left_out.append(LeftOut(each.where, TWICE))
        else:
            objects.append(each)
            if each.number is not None:
                seen.add((each.number, each.at))
    refuse_most(path, left_out, len(objects) + len(left_out))
    taken = {number for number, _ in seen}
    free = (n for n in itertools.count(1) if n not in taken)
    ids = tuple(next(free) if each.number is None else each.number for each in objects)
    return Kept(tuple(objects), ids, sentences_of(left_out, path.name))


def refuse_most(path: Path, left_out: Sequence[LeftOut], n_all: int) -> None:
    """Import nothing of a file of which most cannot be used.

    Raises
    ------
    FrameError
        If it is so; it names the first.
    """
    if len(left_out) > MOSTLY * n_all:
        first = left_out[0]
        raise FrameError(
            f"{path}: {len(left_out)} of {n_all} entries cannot be used, the first at "
            f"{first.where}: {first.reason.rstrip('.')}. {AGAIN}"
        )
