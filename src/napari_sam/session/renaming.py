"""The change that gives objects other ids: their pixels, annotations and lineage."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from napari_sam.engine import FrameIndex

from .annotation import Annotation, Key, as_found
from .edits import LabelEdit, is_in, rename
from .history import Change, Parents, Reviews
from .object_class import Classes
from .region import Region, joined
from .scopes import frames_in
from .session import Session


def renaming(
    session: Session, ids: Mapping[int, int], frames: Sequence[FrameIndex], action: str
) -> Change:
    """The change that gives objects other ids in some frames; id 0 deletes."""
    if not ids:
        return Change((), {}, {})
    if highest := max(ids.values()):
        session.make_room(highest)
    edits = [edit for frame in frames for edit in _renames(session, ids, frame)]
    after: dict[Key, Annotation | None] = {}
    for frame in frames:
        after |= renamed_annotations(session, ids, frame)
    parents = _renamed_parents(session, ids, frames) if session.parents else session.parents
    change = change_to(session, edits, after, parents, action)
    across = (n for n, i in zip(session.stack.shape, frames[0], strict=True) if i is not None)
    is_everywhere = len(frames) >= math.prod(across)
    gone = [old for old, new in ids.items() if is_everywhere and not new]
    is_free = all(new in ids or new > session.highest_id for new in ids.values())
    if is_everywhere and is_free and len(set(ids.values())) == len(ids):
        change = replace(change, keeps_masks=True)
    change = with_classes(session, change, session.classes.renumbered(ids, gone))
    reviews = _renumbered(session.reviews, ids, gone)
    if reviews == session.reviews:
        return change
    return replace(change, reviews_before=session.reviews, reviews_after=reviews)


def _renames(session: Session, ids: Mapping[int, int], frame: FrameIndex) -> Iterator[LabelEdit]:
    """One edit, or where frames may be huge one an object: others may be anywhere between two."""
    if not session.writes_alone:
        yield rename(ids, session.labels, frame)
        return
    for old, new in ids.items():
        within = session.region(old, frame).window
        yield rename({old: new}, session.labels, frame, within)


def give_up(session: Session, ids: Iterable[int], frames: Iterable[FrameIndex]) -> bool:
    """Wait no longer for masks of objects that get other ids; ``False`` if none was wanted."""
    keys = {(object_id, frame) for frame in frames for object_id in ids}
    waiting = [request for request in session.pending() if request.key in keys]
    for request in waiting:
        session.fail(request)
    return bool(waiting)


def change_to(
    session: Session,
    edits: Iterable[LabelEdit],
    after: Mapping[Key, Annotation | None],
    parents: Parents | None = None,
    action: str = "change",
) -> Change:
    """The change from what a session is to other pixels, annotations, and parents if given."""
    before = {key: session.current(*key) for key in after}
    pixels = tuple(edit for edit in edits if edit)
    if parents is None or parents == session.parents:
        return Change(pixels, before, after, action=action)
    return Change(pixels, before, after, session.parents, parents, action)


def with_classes(session: Session, change: Change, classes: Classes) -> Change:
    """The same change, the objects having other classes."""
    if classes.given == session.classes.given:
        return change
    return replace(change, classes_before=session.classes, classes_after=classes)


def _renumbered(reviews: Reviews, ids: Mapping[int, int], gone: Iterable[int]) -> Reviews:
    """Reviews once objects have other ids; an object that joins another one takes on that one's."""
    after = {i: review for i, review in reviews.items() if i not in gone}
    for old, new in ids.items():
        if new and new not in ids and old in reviews:
            after.setdefault(new, reviews[old])
    return after


def renamed_annotations(
    session: Session, ids: Mapping[int, int], frame: FrameIndex
) -> dict[Key, Annotation | None]:
    """The annotations of a frame under the new ids."""

    def is_there(object_id: int) -> bool:
        annotation = session.current(object_id, frame)
        has_ended = annotation is None or bool(annotation.stopped)
        return not has_ended or bool(session.region(object_id, frame))

    after: dict[Key, Annotation | None] = {}
    for target in {*ids, *ids.values()} - {0}:
        sources = [old for old, new in ids.items() if new == target]
        if target not in ids:
            sources.append(target)
        there = [i for i in sources if is_there(i)]
        annotations = [_renamed(session.current(i, frame), i, target) for i in there or sources]
        after[target, frame] = (
            merged(joined(session.region(i, frame) for i in there), annotations)
            if len(there) > 1
            else next(filter(None, annotations), None)
        )
    return {key: a for key, a in after.items() if a is not session.current(*key)}


def _renamed(annotation: Annotation | None, old: int, new: int) -> Annotation | None:
    """The annotation of an object with another id; why it ended is said of that one."""
    if annotation is None or not annotation.stopped:
        return annotation
    return replace(annotation, stopped=annotation.stopped.replace(f" {old} ", f" {new} ", 1))


def merged(region: Region, annotations: Sequence[Annotation | None]) -> Annotation:
    """Several objects that became one; what was painted by hand stays so."""
    found = as_found(region)
    painted = Region.empty()
    for annotation in filter(None, annotations):
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
    times = {i: frames_with(session, i, frames[0]) for i in (named | concerned) - {0}}
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


def frames_with(session: Session, object_id: int, like: FrameIndex) -> list[FrameIndex]:
    """The frames of one orientation that hold an object, in order."""
    frames = frames_in(session.stack.shape, like, "everywhere")
    return [f for f in frames if is_in(object_id, session.labels, f)]
