"""What can be done with whole objects: delete, merge, split, swap, join, divide.

Each is one step of undo over all frames it concerns. Ids, parents and annotations go along: an
annotation moves with its object's id; where pixels of several objects become one, or one is
split, what results is the user's own and the next click corrects it as it stands.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine import FrameIndex, SamError

from .annotation import Annotation, Key, as_found
from .edits import LabelEdit, Region, fill, read_frame, rename
from .history import Change, Parents
from .session import Session

Scope: TypeAlias = Literal["here", "onwards", "everywhere"]


def delete(
    session: Session,
    object_id: int,
    frame: FrameIndex,
    scope: Scope = "here",
    axis: int | None = None,
) -> None:
    """Take an object out of a frame, of all from it on, or of the whole stack."""
    _check_there(session, object_id)
    _give_ids(session, {object_id: 0}, frame, scope, axis)


def merge(
    session: Session,
    object_id: int,
    other: int,
    frame: FrameIndex,
    scope: Scope = "here",
    axis: int | None = None,
) -> None:
    """Let another object's pixels be this object's."""
    _check_two(session, object_id, other)
    _give_ids(session, {other: object_id}, frame, scope, axis)


def swap(
    session: Session, object_id: int, other: int, frame: FrameIndex, axis: int | None = None
) -> None:
    """Exchange the ids of two objects from a frame on: the tracks had crossed."""
    _check_two(session, object_id, other)
    _give_ids(session, {object_id: other, other: object_id}, frame, "onwards", axis)


def join(
    session: Session, object_id: int, other: int, frame: FrameIndex, axis: int | None = None
) -> None:
    """Let another object be this one from a frame on: the track had been broken."""
    _check_two(session, object_id, other)
    _give_ids(session, {other: object_id}, frame, "onwards", axis)


def split(session: Session, object_id: int, frame: FrameIndex) -> tuple[int, ...]:
    """Make each connected part of an object but the largest an object of its own.

    Returns
    -------
    tuple of int
        The new ids, by falling area.

    Raises
    ------
    SamError
        If the object is in one piece.
    """
    parts = _connected(session.region(object_id, frame))
    if len(parts) < 2:
        raise SamError(
            f"Object {object_id} is in one piece in this frame. Paint the part that is another "
            "object with a new label, or erase a line between the parts first."
        )
    return _take_out(session, object_id, frame, parts[1:])


def cut(session: Session, object_id: int, frame: FrameIndex, part: Region) -> int:
    """Make a part of an object a new object; returns its id.

    Raises
    ------
    SamError
        If nothing of the object, or all of it, lies in that part.
    """
    whole = session.region(object_id, frame)
    part = part.common(whole)
    if not part or not whole.without(part):
        raise SamError(
            f"{'All' if part else 'Nothing'} of object {object_id} lies in the part drawn. "
            "Draw over the part of it that is another object."
        )
    return _take_out(session, object_id, frame, [part])[0]


def divide(
    session: Session,
    mother: int,
    daughters: Sequence[int],
    frame: FrameIndex,
    axis: int | None = None,
) -> tuple[int, ...]:
    """Mark a division: from this frame on the mother is her daughters.

    A daughter that has the mother's id, or an id that was there before, gets a new one from this
    frame on.

    Returns
    -------
    tuple of int
        The daughters' ids.

    Raises
    ------
    SamError
        If the mother is not there before, or goes on beside her daughters, or a daughter is not in
        this frame.
    """
    onwards = set(frames_in(session, frame, "onwards", axis))
    here = session.ids_in(frame)
    if missing := [daughter for daughter in daughters if daughter not in here]:
        raise SamError(
            f"Object {missing[0]} is not in this frame. Go to the first frame in which the "
            "daughters are two, and choose them there."
        )
    mothers = _frames_like(session, mother, frame)
    if not mothers - onwards:
        raise SamError(
            f"Object {mother} is not there before this frame, so it cannot have divided in it."
        )
    if mother not in daughters and mothers & onwards:
        raise SamError(
            f"Object {mother} goes on after this frame. Name it as one of the daughters, or delete "
            "it from here on."
        )
    earlier = [d for d in daughters if d == mother or _frames_like(session, d, frame) - onwards]
    first = session.next_id()
    ids = dict(zip(earlier, itertools.count(first), strict=False))
    session.note_ids(max((first - 1, *ids.values())))
    change = _renaming(session, ids, sorted(onwards, key=repr))
    named = tuple(ids.get(daughter, daughter) for daughter in daughters)
    parents = session.parents if change.parents_after is None else change.parents_after
    parents = {**parents, **dict.fromkeys(named, (mother,))}
    session.make(replace(change, parents_before=session.parents, parents_after=parents))
    return named


def unlink(session: Session, object_id: int) -> None:
    """Forget what an object came from."""
    if object_id in session.parents:
        parents = {child: p for child, p in session.parents.items() if child != object_id}
        session.make(Change((), {}, {}, session.parents, parents))


def frames_in(
    session: Session, frame: FrameIndex, scope: Scope, axis: int | None = None
) -> Iterator[FrameIndex]:
    """The frames that a scope means, of the same orientation as the one given.

    Parameters
    ----------
    axis
        Along which axis "onwards" goes; by default the first one that does not span the frame. At
        axes before it the position stays, at axes after it all are meant.
    """
    if scope == "here":
        return iter((frame,))
    leading = [a for a, i in enumerate(frame) if i is not None]
    axis = leading[0] if axis is None and leading else axis
    if axis is not None and axis not in leading:
        raise SamError(
            f"Axis {axis} spans the frame. Give one that leads to it: {leading or 'there is none'}."
        )

    def positions(a: int, at: int | None) -> Sequence[int | None]:
        if at is None:
            return (None,)
        if scope == "everywhere" or axis is None or a > axis:
            return range(session.stack.shape[a])
        return range(at, session.stack.shape[a]) if a == axis else (at,)

    return itertools.product(*(positions(a, at) for a, at in enumerate(frame)))


def _check_there(session: Session, *object_ids: int) -> None:
    for object_id in object_ids:
        if object_id < 1:
            raise SamError(f"Object ids start at 1, not {object_id}.")


def _check_two(session: Session, object_id: int, other: int) -> None:
    _check_there(session, object_id, other)
    if object_id == other:
        raise SamError(f"Object {object_id} was given twice. Choose two different objects.")


def _give_ids(
    session: Session, ids: Mapping[int, int], frame: FrameIndex, scope: Scope, axis: int | None
) -> None:
    frames = list(frames_in(session, frame, scope, axis))
    if scope == "everywhere":  # prompts given in other views go along
        annotated = {f for (i, f), _ in session.annotations() if i in ids}
        frames += sorted(annotated.difference(frames), key=repr)
    change = _renaming(session, ids, frames)
    if any(change.edits) or change.after:
        session.note_ids(max(ids))  # an id that is free now is still not given again
        session.make(change)


def _renaming(session: Session, ids: Mapping[int, int], frames: Sequence[FrameIndex]) -> Change:
    """The change that gives objects other ids in some frames; id 0 deletes."""
    edits: list[LabelEdit] = []
    before: dict[Key, Annotation | None] = {}
    after: dict[Key, Annotation | None] = {}
    for frame in frames if ids else ():
        if edit := rename(ids, session.labels, frame):
            edits.append(edit)
        renamed = _renamed_annotations(session, ids, frame)
        after.update(renamed)
        before.update({(i, f): session.standing(i, f) for i, f in renamed})
    parents = _renamed_parents(session, ids, frames) if session.parents else session.parents
    if parents == session.parents:
        return Change(tuple(edits), before, after)
    return Change(tuple(edits), before, after, session.parents, parents)


def _renamed_annotations(
    session: Session, ids: Mapping[int, int], frame: FrameIndex
) -> dict[Key, Annotation | None]:
    """What stands in a frame under each id concerned once the ids are given."""
    current = read_frame(session.labels, frame)
    after: dict[Key, Annotation | None] = {}
    for target in {*ids, *ids.values()} - {0}:
        sources = [old for old, new in ids.items() if new == target]
        if target not in ids:
            sources.append(target)
        there = [i for i in sources if session.standing(i, frame) or (current == i).any()]
        standing = [session.standing(i, frame) for i in there]
        after[target, frame] = (
            _merged(_pixels_of(there, current), standing)
            if len(there) > 1
            else next(iter(standing), None)
        )
    return {key: a for key, a in after.items() if a is not session.standing(*key)}


def _pixels_of(object_ids: Sequence[int], current: NDArray[np.integer]) -> Region:
    return Region.from_mask(np.logical_or.reduce([current == i for i in object_ids]))


def _merged(region: Region, standing: Sequence[Annotation | None]) -> Annotation:
    """Several objects that became one; what was painted by hand stays so."""
    found = as_found(region)
    painted = Region.empty()
    for annotation in filter(None, standing):
        painted = painted.united(annotation.footprint.painted)
    footprint = replace(found.footprint, painted=painted.common(region))
    return replace(found, footprint=footprint)


def _renamed_parents(
    session: Session, ids: Mapping[int, int], frames: Sequence[FrameIndex]
) -> Parents:
    """Parents once the ids are given in some frames.

    A child takes its parents along if it has the new id from its first frame on; a parent is who
    it is in its last frame.
    """
    concerned = {*ids, *ids.values()}
    named = {*session.parents, *itertools.chain(*session.parents.values())}
    times = {i: _ordered(session, i, frames[0]) for i in (named | concerned) - {0}}
    where = set(frames)

    def as_child(child: int) -> int:
        return ids.get(child, child) if where.issuperset(times[child]) else child

    def as_parent(parent: int) -> int:
        new = ids.get(parent, parent)
        if new and times[parent] and times[parent][-1] in where:
            return new
        return 0 if where.issuperset(times[parent]) else parent

    parents: dict[int, tuple[int, ...]] = {}
    for child in sorted(session.parents, key=lambda child: _start(times[child])):
        new = as_child(child)
        stays = [f for f in times.get(new, ()) if new not in ids or f not in where]
        goes_back = new != child and bool(stays) and _start(stays) < _start(times[child])
        its = dict.fromkeys(as_parent(parent) for parent in session.parents[child])
        its = {parent: None for parent in its if parent not in (0, new)}
        if new and its and not goes_back:
            parents.setdefault(new, tuple(its))
    return parents


def _start(frames: Sequence[FrameIndex]) -> tuple[int, ...]:
    return tuple(i or 0 for i in frames[0]) if frames else ()


def _ordered(session: Session, object_id: int, like: FrameIndex) -> list[FrameIndex]:
    """The frames of one orientation that hold an object, in order."""
    frames = frames_in(session, like, "everywhere")
    return [f for f in frames if (read_frame(session.labels, f) == object_id).any()]


def _frames_like(session: Session, object_id: int, frame: FrameIndex) -> set[FrameIndex]:
    return set(_ordered(session, object_id, frame))


def _connected(region: Region) -> list[Region]:
    """The parts of a region that do not touch, not even by a corner; the largest first."""
    numbered, count = ndimage.label(region.pixels, np.ones((3, 3)))
    parts = [Region.from_mask(numbered == n, region.top, region.left) for n in range(1, count + 1)]
    return sorted(parts, key=lambda part: -part.area)


def _take_out(
    session: Session, object_id: int, frame: FrameIndex, parts: Sequence[Region]
) -> tuple[int, ...]:
    """Make parts of an object objects of their own."""
    first = session.next_id()
    ids = tuple(range(first, first + len(parts)))
    rest = session.region(object_id, frame)
    edits = []
    after: dict[Key, Annotation | None] = {}
    for new, part in zip(ids, parts, strict=True):
        edits.append(fill(part, new, session.labels, frame))
        after[new, frame] = as_found(part)
        rest = rest.without(part)
    after[object_id, frame] = _merged(rest, [session.standing(object_id, frame)])
    before = {(i, f): session.standing(i, f) for i, f in after}
    session.note_ids(ids[-1])
    session.make(Change(tuple(edits), before, after))
    return ids
