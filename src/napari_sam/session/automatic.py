"""Objects found without a prompt land in a frame: many at once, as one step of undo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import FoundObject, FrameIndex, SamError, common_window, to_labels

from .annotation import Annotation, Key
from .edits import LabelEdit, read_window
from .history import Change
from .region import Region, around
from .renaming import change_to, renaming
from .session import Session

if TYPE_CHECKING:
    from napari_sam.engine import LoadedModel

ACTION = "automatic segmentation"
METHODS = ("grid", "seeds")  # by which objects are found without a prompt
AT_ONCE = 200  # objects that land between two turns of a window
MOST_TAKEN = 0.5  # of an object that others may have, or it is nothing of its own

Claim: TypeAlias = tuple[FoundObject, Region]  # an object, and the pixels that are its alone


@dataclass(frozen=True)
class Landing:
    """Where objects land, and in which step of undo.

    Attributes
    ----------
    model
        The name of the one that found them; :attr:`Session.models` knows its hash.
    run
        By :meth:`Session.new_run`.
    replaces
        Whether objects that were found before, and are nobody's own yet, make way.
    """

    frame: FrameIndex
    model: str
    run: int
    replaces: bool = False


def free_regions(found: Sequence[FoundObject]) -> list[Claim]:
    """The objects that stand, in their order, each with the pixels that no better one has.

    Touches no session: any thread may do it.
    """
    standing = [each for each in found if each.dropped is None]
    top, left, bottom, right = common_window(standing)
    moved = [each.moved(-top, -left) for each in standing]
    owners = to_labels(moved, (bottom - top, right - left))
    claims = [
        (each, Region.from_mask(owners[here.where] == n, *each.window[:2]))
        for n, (each, here) in enumerate(zip(standing, moved, strict=True), 1)
    ]
    return [claim for claim in claims if claim[1]]


def unconfirmed_in(session: Session, frame: FrameIndex) -> dict[int, Region]:
    """Objects found in a frame that the user has neither corrected nor confirmed."""
    annotations = session.annotations_in(frame)
    return {
        i: a.footprint.landed
        for i, a in annotations
        if a.found_by in METHODS and a.footprint.landed
    }


def land_claims(
    session: Session, claims: Sequence[Claim], landing: Landing, at_once: int = AT_ONCE
) -> Iterator[int]:
    """Give objects ids that are new and write them, never over what is annotated.

    What others have of an object by now stays theirs; with more than half of it gone, it does not
    land. Nothing goes on once the run was undone.

    Parameters
    ----------
    claims
        As :func:`free_regions` has them.
    at_once
        Objects written together.

    Yields
    ------
    How many landed, after each write: a window may draw meanwhile.

    Raises
    ------
    SamError
        If the labels cannot hold so many ids. Then nothing was written.
    """
    if not claims or not session.accepts(landing.run):
        return
    first = session.next_id()
    last = first + len(claims) - 1
    _make_room(session, last, len(claims))
    if first <= session.active <= last:  # it has no pixel, and is no found one
        session.select(last + 1)
    session.note_ids(last)
    if landing.replaces:
        _make_way(session, claims, landing)
    numbered = sorted(enumerate(claims, first), key=lambda each: each[1][1].window)
    for start in range(0, len(numbered), at_once):
        if not session.accepts(landing.run):
            return
        change = _landed(session, numbered[start : start + at_once], landing)
        if change.after:
            session.add(change, landing.run)
        yield len(change.after)


def land_found(
    session: Session,
    frame: FrameIndex,
    found: Sequence[FoundObject],
    model: LoadedModel,
    run: int | None = None,
) -> list[tuple[int, Region]]:
    """Give each object that stands an id and its pixels, as far as they are free: one change.

    Parameters
    ----------
    found
        What was decided of one frame's proposals.
    model
        What they were found with.
    run
        A number from `Session.new_run`, for the frames of a stack to be one step of undo.

    Returns
    -------
    The id of each of ``found``, and its pixels in the labels; 0 and none for what was dropped or
    has too few free pixels.

    Raises
    ------
    SamError
        If the labels cannot hold so many ids.
    """
    session.models[model.name] = (model.hash, model.precision)
    claims = free_regions(found)
    landing = Landing(frame, model.name, session.new_run() if run is None else run)
    first = session.next_id()
    for _ in land_claims(session, claims, landing):
        pass
    ids = {id(each): first + n for n, (each, _) in enumerate(claims)}
    landed = []
    for each in found:
        object_id = ids.get(id(each), 0)
        annotation = session.current(object_id, frame)
        region = annotation.footprint.landed if annotation else Region.empty()
        landed.append((object_id if region else 0, region))
    return landed


def _make_room(session: Session, highest: int, n_objects: int) -> None:
    """Have the labels hold the ids of many objects, or say what would."""
    try:
        session.make_room(highest)
    except SamError as error:
        dtype = session.labels.dtype
        raise SamError(
            f"{n_objects} objects were found, and the last one would be number {highest}, but "
            f"labels of type {dtype} hold numbers up to {np.iinfo(dtype).max}. Continue with "
            "labels of 32 bit, labels.astype(numpy.uint32), or find fewer objects by a smallest "
            "area."
        ) from error


def _make_way(session: Session, claims: Sequence[Claim], landing: Landing) -> None:
    """Delete unconfirmed objects of which most is claimed."""
    frame = landing.frame
    there = unconfirmed_in(session, frame)
    top, left, bottom, right = around(*there.values(), *(region for _, region in claims))
    claimed, corner = np.zeros((bottom - top, right - left), bool), (top, left)
    for _, region in claims:
        _seen(claimed, region, corner)[region.pixels] = True
    given_up = [
        object_id
        for object_id, region in there.items()
        if _share(_seen(claimed, region, corner), region) > MOST_TAKEN
    ]
    if given_up:
        change = renaming(session, dict.fromkeys(given_up, 0), [frame], ACTION)
        session.make(change, landing.run)


def _landed(session: Session, part: Sequence[tuple[int, Claim]], landing: Landing) -> Change:
    """The change that writes some objects: one edit, however many they are."""
    frame = landing.frame
    top, left, bottom, right = around(*(region for _, (_, region) in part))
    current = read_window(session.labels, frame, (top, left, bottom, right))
    target = np.array(current)
    by = session.models.get(landing.model, ("", ""))
    after: dict[Key, Annotation | None] = {}
    for object_id, (found, region) in part:
        window = _seen(target, region, (top, left))
        if _share(window != 0, region) > MOST_TAKEN:
            continue
        mine = region.pixels & (window == 0)
        window[mine] = object_id
        landed = Region.from_mask(mine, region.top, region.left)
        after[object_id, frame] = Annotation.of_found(found, landed, landing.model, *by)
    changed = target != current
    edit = LabelEdit(frame, Region.from_mask(changed, top, left), target[changed], current[changed])
    return change_to(session, [edit], after, action=ACTION)


def _seen(
    pixels: NDArray[np.generic], region: Region, corner: tuple[int, int] = (0, 0)
) -> NDArray[np.generic]:
    """The part of a frame, or of its part from a corner on, in which a region lies: a view."""
    y0, x0, y1, x1 = region.window
    y, x = corner
    return pixels[y0 - y : y1 - y, x0 - x : x1 - x]


def _share(taken: NDArray[np.generic], region: Region) -> float:
    """How much of a region lies where something is true."""
    return float(np.count_nonzero(taken[region.pixels]) / region.area)
