"""Operations on whole objects: delete, trim, merge, split, swap, join, divide.

Each is one step of undo over all frames it concerns. Ids, parents and annotations go along: an
annotation moves with its object's id; where pixels of several objects become one, or one is
split, the result is the user's own and the next click corrects it as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np
from scipy import ndimage

from napari_sam.engine import FrameIndex, SamError, checked_object_id

from .annotation import Annotation, Key, as_found
from .edits import fill
from .history import DELETION, Change
from .region import Region
from .renaming import change_to, frames_with, give_up, merged, renaming, with_classes
from .scopes import Scope, frames_in
from .session import Session

End: TypeAlias = Literal["first", "last"]


def delete(
    session: Session,
    object_ids: Sequence[int],
    frame: FrameIndex,
    scope: Scope = "here",
    axis: int | None = None,
) -> None:
    """Take objects out of the frames that a scope means."""
    _check_all(object_ids)
    _give_ids(session, dict.fromkeys(object_ids, 0), frame, scope, axis, DELETION)


def trim(
    session: Session,
    object_ids: Sequence[int],
    frame: FrameIndex,
    end: End,
    axis: int | None = None,
) -> None:
    """Make a frame the first or the last one of objects: they are deleted before or after it.

    Raises
    ------
    SamError
        If one of the objects is not in this frame.
    """
    here = session.ids_in(frame)
    if missing := [object_id for object_id in object_ids if object_id not in here]:
        raise SamError(
            f"Object {missing[0]} is not in this frame, so it cannot be its {end}. Go to the "
            f"{end} frame that it is to keep."
        )
    delete(session, object_ids, frame, "before here" if end == "first" else "after here", axis)


def merge(
    session: Session,
    object_id: int,
    others: Sequence[int],
    frame: FrameIndex,
    scope: Scope = "here",
    axis: int | None = None,
) -> None:
    """Let the pixels of other objects be this object's."""
    _check_all([object_id, *others])
    _give_ids(session, dict.fromkeys(others, object_id), frame, scope, axis, "merging")


def swap(
    session: Session, object_id: int, other: int, frame: FrameIndex, axis: int | None = None
) -> None:
    """Exchange the ids of two objects from a frame on: the tracks had crossed."""
    _check_all([object_id, other])
    ids = {object_id: other, other: object_id}
    _give_ids(session, ids, frame, "from here", axis, "exchange of the ids")


def join(
    session: Session, object_id: int, other: int, frame: FrameIndex, axis: int | None = None
) -> None:
    """Let another object be this one from a frame on: the track had been broken."""
    _check_all([object_id, other])
    _give_ids(session, {other: object_id}, frame, "from here", axis, "joining")


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
        If nothing of the object, or all of it, is in that part.
    """
    whole = session.region(object_id, frame)
    part = part.common(whole)
    if not part or not whole.without(part):
        raise SamError(
            f"{'All' if part else 'Nothing'} of object {object_id} is in the part drawn. "
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
        If there are fewer than two daughters, the mother is not there before, or continues beside
        them, or a daughter is not in this frame.
    """
    if len(set(daughters)) < 2:
        raise SamError(
            f"Object {mother} divides into two daughters at least. Go to the first frame in which "
            "they are two, and choose both. If it only continues under another number, join "
            "the two."
        )
    later = set(frames_in(session.stack.shape, frame, "from here", axis))
    here = session.ids_in(frame)
    if missing := [daughter for daughter in daughters if daughter not in here]:
        raise SamError(
            f"Object {missing[0]} is not in this frame. Go to the first frame in which the "
            "daughters are two, and choose them there."
        )
    mothers = _frames_like(session, mother, frame)
    if not mothers - later:
        raise SamError(
            f"Object {mother} is not there before this frame, so it cannot have divided in it."
        )
    if mother not in daughters and mothers & later:
        raise SamError(
            f"Object {mother} continues after this frame. Name it as one of the daughters, "
            "or delete "
            "it from here on."
        )
    earlier = [d for d in daughters if d == mother or _frames_like(session, d, frame) - later]
    first = session.next_id()
    ids = dict(zip(earlier, itertools.count(first), strict=False))
    session.note_ids(max((first - 1, *ids.values())))
    change = renaming(session, ids, sorted(later, key=repr), "division")
    named = tuple(ids.get(daughter, daughter) for daughter in daughters)
    parents = session.parents if change.parents_after is None else change.parents_after
    parents = {**parents, **dict.fromkeys(named, (mother,))}
    give_up(session, ids, later)
    session.make(replace(change, parents_before=session.parents, parents_after=parents))
    return named


def unlink(session: Session, object_id: int) -> None:
    """Forget what an object came from."""
    if object_id in session.parents:
        parents = {child: p for child, p in session.parents.items() if child != object_id}
        action = f"removing the parent of object {object_id}"
        session.make(Change((), {}, {}, session.parents, parents, action))


def _check_all(object_ids: Sequence[int]) -> None:
    for n, object_id in enumerate(object_ids):
        checked_object_id(object_id)
        if object_id in object_ids[:n]:
            raise SamError(f"Object {object_id} was given twice. Choose different objects.")


def _give_ids(
    session: Session,
    ids: Mapping[int, int],
    frame: FrameIndex,
    scope: Scope,
    axis: int | None,
    action: str,
) -> None:
    frames = list(frames_in(session.stack.shape, frame, scope, axis))
    if scope == "everywhere":  # prompts given in other views go along
        annotated = {f for (i, f), _ in session.annotations() if i in ids}
        annotated |= {r.frame for r in session.pending() if r.object_id in ids}
        frames += sorted(annotated.difference(frames), key=repr)
    if not frames:  # there is none before the first one
        return
    change = renaming(session, ids, frames, action)
    was_wanted = give_up(session, ids, frames)
    is_change = any(change.edits) or bool(change.after)
    if not was_wanted and not is_change:
        return
    session.note_ids(max(ids))  # one that is free now is still not given again
    if is_change:
        session.make(change)
    _leave_gone(session, ids, frame)


def _leave_gone(session: Session, ids: Mapping[int, int], frame: FrameIndex) -> None:
    """The next prompt is never given the number of an object that is gone."""
    active = session.active
    if active not in ids or any(each.object_id == active for each in session.objects()):
        return
    if frames_with(session, active, frame):
        return
    if ids[active]:
        session.select(ids[active])
    else:
        session.new_object()


def _frames_like(session: Session, object_id: int, frame: FrameIndex) -> set[FrameIndex]:
    return set(frames_with(session, object_id, frame))


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
    session.make_room(ids[-1])
    rest = session.region(object_id, frame)
    edits = []
    after: dict[Key, Annotation | None] = {}
    for new, part in zip(ids, parts, strict=True):
        edits.append(fill(part, new, session.labels, frame))
        after[new, frame] = as_found(part)
        rest = rest.without(part)
    after[object_id, frame] = merged(rest, [session.current(object_id, frame)])
    session.note_ids(ids[-1])
    change = change_to(session, edits, after, action="splitting")
    inherited = dict.fromkeys(ids, session.classes.of(object_id))
    session.make(with_classes(session, change, session.classes.with_given(inherited)))
    return ids
