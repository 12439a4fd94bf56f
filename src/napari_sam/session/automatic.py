"""Objects that were found in a frame without prompts become objects like any other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_sam.engine import FoundObject, FrameIndex, LoadedModel, SamError, to_labels

from .annotation import Annotation, Key, as_found
from .edits import LabelEdit, Region, read_frame
from .history import Change
from .session import Session


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
    has no free pixel.

    Raises
    ------
    SamError
        If the labels cannot hold so many ids.
    """
    before = read_frame(session.labels, frame)
    standing = [n for n, each in enumerate(found) if each.dropped is None]
    first = session.next_id()
    pixels = to_labels((found[n] for n in standing), before.shape, first)
    pixels[before != 0] = 0
    landed = [(0, Region.empty())] * len(found)
    for nth, number in zip(standing, itertools.count(first), strict=False):
        top, left, *_ = found[nth].window
        region = Region.from_mask(pixels[found[nth].where] == number, top, left)
        landed[nth] = (number if region else 0, region)
    highest = max((object_id for object_id, _ in landed), default=0)
    if highest:
        _make_room(session, highest, len(standing))
        after: dict[Key, Annotation | None] = {
            (object_id, frame): _annotation(region, each, model)
            for (object_id, region), each in zip(landed, found, strict=True)
            if object_id
        }
        changed = Region.from_mask(pixels > 0)
        values = pixels[_where(changed)][changed.pixels].astype(session.labels.dtype)
        edit = LabelEdit(frame, changed, values, np.zeros_like(values))
        session.models[model.name] = (model.hash, model.precision)
        session.make(Change((edit,), dict.fromkeys(after), after, action="segmentation"), run)
        session.note_ids(highest)
    return landed


def _where(region: Region) -> tuple[slice, slice]:
    y0, x0, y1, x1 = region.window
    return slice(y0, y1), slice(x0, x1)


def _annotation(region: Region, found: FoundObject, model: LoadedModel) -> Annotation:
    return replace(
        as_found(region),
        iou_prediction=found.score,
        stability=found.stability,
        model=model.name,
        model_hash=model.hash,
        precision=model.precision,
    )


def _make_room(session: Session, highest: int, n_objects: int) -> None:
    """Have the labels hold the ids of many objects, or say what would."""
    try:
        session.make_room(highest)
    except SamError as error:
        dtype = session.labels.dtype
        raise SamError(
            f"{n_objects} objects were found, and the last one would be number {highest}, but "
            f"labels of type {dtype} hold numbers up to {np.iinfo(dtype).max}. Go on with labels "
            "of 32 bit, labels.astype(numpy.uint32), or find fewer objects by a smallest area."
        ) from error
