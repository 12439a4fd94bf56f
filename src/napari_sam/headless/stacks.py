"""Stacks without a screen: objects propagated from frame to frame, labels linked into tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from napari_sam.engine import (
    EmbeddingCache,
    FrameError,
    FrameIndex,
    FrameStack,
    Predictor,
    SamError,
    as_ids,
    checked_object_id,
)
from napari_sam.session import Propagated, Session, empty_labels
from napari_sam.session.annotation import Annotation, Key, as_found
from napari_sam.session.history import Change
from napari_sam.stacks import Direction, Through, planning, propagation


def seeded_session(stack: FrameStack, seeds: Any, frame: FrameIndex) -> Session:
    """A session whose labels hold the seeds in one frame and nothing elsewhere.

    Parameters
    ----------
    seeds
        Object ids, ``(H, W)`` of that frame or of the shape of the whole stack, of which only that
        frame is read.

    Raises
    ------
    FrameError
        If the seeds have another shape or are not object ids, or the frame holds none.
    """
    shape = stack.frame_shape_of(frame)
    if tuple(seeds.shape) not in (shape, tuple(stack.shape)):
        raise FrameError(
            f"Labels of shape {tuple(seeds.shape)} do not fit an image of shape {stack.shape}. "
            f"Give those of one frame, {shape[0]} × {shape[1]}, or of the whole stack."
        )
    on_frame = tuple(slice(None) if i is None else i for i in frame)
    pixels = as_ids(seeds[... if len(seeds.shape) == 2 else on_frame])
    if not pixels.any():
        raise FrameError(
            "There is no object in this frame of the labels. Choose a frame that is annotated."
        )
    dtype = np.uint16 if pixels.max() <= np.iinfo(np.uint16).max else np.uint32
    labels = empty_labels(stack.shape, dtype)
    labels[on_frame] = pixels
    return Session(stack, labels)


def annotated_session(stack: FrameStack, labels: Any) -> Session:
    """A session in which every object of the labels counts as annotated by hand where it is.

    Parameters
    ----------
    labels
        Object ids, of the shape of the whole stack; frames to be filled are empty.

    Raises
    ------
    FrameError
        If the labels have another shape or are no object ids.
    """
    if tuple(labels.shape) != tuple(stack.shape):
        raise FrameError(
            f"Labels of shape {tuple(labels.shape)} are not those of an image of shape "
            f"{stack.shape}. Give labels of the whole stack, in which two frames at least are "
            "annotated."
        )
    session = Session(stack, as_ids(labels[...]).copy())
    annotated: dict[Key, Annotation | None] = {
        (object_id, frame): as_found(session.region(object_id, frame))
        for frame in stack.indices()
        for object_id in session.ids_in(frame)
    }
    session.make(Change((), {}, annotated, action="annotation"))
    return session


def propagate(
    session: Session,
    frame: FrameIndex,
    predictor: Predictor,
    object_ids: Iterable[int] | None = None,
    *,
    direction: Direction = "forward",
    n_frames: int | None = None,
    axis: int | None = None,
    through: Through | None = None,
    cache: EmbeddingCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Propagated]:
    """Propagate objects from a frame to others and write them into the session's labels.

    Close the generator to stop; what has landed stays, and one undo takes all of it back.

    Parameters
    ----------
    session
        Its labels hold the objects in ``frame``. Frames annotated by hand are left alone.
    object_ids
        ``None``: all that are in this frame or, ``between``, annotated before and after it.
    direction, n_frames, axis, through
        As in `napari_sam.stacks.plan`.
    progress
        Called as ``progress(done, total)`` in hundredths of a frame.

    Yields
    ------
    One object in one frame after the other, or why it went no further.

    Raises
    ------
    SamError
        If there is nowhere to go, or an object is not in this frame.
    """
    if direction == "between":
        there = planning.ids_between(session, frame, axis)
    else:
        there = session.ids_in(frame)
    ids = there if object_ids is None else tuple(map(checked_object_id, object_ids))
    if missing := [object_id for object_id in ids if object_id not in there]:
        known = ", ".join(map(str, there[:10])) + (" …" if there[10:] else "")
        raise SamError(
            f"Object {missing[0]} is not in this frame of the labels. Choose one that is: {known}."
        )
    plan = planning.plan(
        session, ids, frame, direction=direction, n_frames=n_frames, axis=axis, through=through
    )
    model = predictor.model
    session.models[model.name] = (model.hash, model.precision)
    run = session.new_run()
    cache = EmbeddingCache() if cache is None else cache  # an empty one is one
    steps = propagation.propagate(plan, session.stack, predictor, cache, progress)
    for propagated in steps:
        session.land_propagated(propagated, run)
        yield propagated
