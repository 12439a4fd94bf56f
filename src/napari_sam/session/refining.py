"""Refined masks take the place of objects; the others are marked for review."""

from __future__ import annotations

from dataclasses import replace

from napari_sam.engine import FrameIndex

from .annotation import Annotation, Answer
from .edits import Footprint, mask_to_edit
from .renaming import change_to
from .session import Session

ACTION = "refinement"
LABELS = "labels"  # how an object was found: by another tool


def is_refinable(session: Session, object_id: int, frame: FrameIndex) -> bool:
    """Whether an object was neither prompted, painted, corrected nor confirmed by the user."""
    current = session.current(object_id, frame)
    return current is None or not current.is_anchor


def land_refined(session: Session, answer: Answer, run: int, *, iou: float, kept: str = "") -> bool:
    """Let an answer take the place of an object, or mark the object for review.

    Pixels of other objects stay theirs. What the user annotated meanwhile stays, and nothing
    happens once the run was undone.

    Parameters
    ----------
    iou
        Of the answer with the object: the score of one that is kept.
    kept
        Why the object stays as it was, in a sentence; "": it does not.

    Returns
    -------
    Whether it took its place.
    """
    key = answer.request.key
    current = session.current(*key)
    if not session.accepts(run) or not is_refinable(session, *key):
        return False
    footprint = current.footprint if current else Footprint.found(session.region(*key))
    if kept:
        marked = replace(current or Annotation(footprint=footprint), found_by=LABELS)
        after = replace(marked, score=iou, warning=kept, source=None)
        session.add(change_to(session, (), {key: after}, action=ACTION), run)
        return False
    object_id, frame = key
    edit, footprint = mask_to_edit(answer.mask, session.labels, frame, object_id, footprint)
    after = Annotation.of_answer(answer, footprint)
    session.models[answer.model] = (answer.model_hash, answer.precision)
    session.add(change_to(session, [edit], {key: after}, action=ACTION), run)
    return True
