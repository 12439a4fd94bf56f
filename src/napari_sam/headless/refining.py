"""Labels of other tools refined, without a screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from napari_sam.engine import (
    EmbeddingCache,
    FrameError,
    FrameIndex,
    FrameStack,
    Predictor,
    prompts_of_labels,
    write_table,
)
from napari_sam.session import Session, is_refinable, land_refined
from napari_sam.stacks import Refined, RefineRules, refine_objects

from .alike import example_session

COLUMNS = (
    "object_id",
    "frame",
    "refined",
    "iou",
    "score",
    "stability",
    "area_before",
    "area",
    "why",
)


def refine(
    session: Session,
    predictor: Predictor,
    rules: RefineRules | None = None,
    frames: Iterable[FrameIndex] | None = None,
    *,
    cache: EmbeddingCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Refined]:
    """Refine all objects in a session's labels that the user did not annotate: one step of undo.

    Close the generator to stop; what has landed stays.

    Parameters
    ----------
    frames
        ``None``: all of the stack.
    progress
        Called as ``progress(done, total)`` in objects.

    Yields
    ------
    Each object's answer; those that were kept say why.
    """
    stack = session.stack
    wanted = set(stack.indices() if frames is None else frames)
    found = prompts_of_labels(session.labels, stack).fitted(stack)
    keys = ((each, stack.index(*each.at or ())) for each in found.objects)
    objects = found.with_objects(
        each for each, at in keys if at in wanted and is_refinable(session, each.object_id, at)
    )
    run = session.new_run()
    cache = EmbeddingCache() if cache is None else cache
    for refined in refine_objects(objects, stack, predictor, cache, rules, progress):
        land_refined(session, refined.answer, run, iou=refined.iou, kept=refined.kept)
        yield refined


def session_to_refine(stack: FrameStack, labels: Any, frames: Sequence[FrameIndex]) -> Session:
    """A session whose labels are to be refined.

    Parameters
    ----------
    labels
        Object ids, of the shape of the image; or ``(H, W)``, where one frame is to be refined.

    Raises
    ------
    FrameError
        If the labels have another shape, hold no object, or it is not said of which frame they are.
    """
    of_one_frame = len(labels.shape) == 2 < stack.ndim
    if of_one_frame and len(frames) != 1:
        raise FrameError(
            f"These labels are of one frame, and {len(frames)} frames of the image are to be "
            "refined. Say which frame they are of, as in --frames 3, or give labels of all frames."
        )
    return example_session(stack, labels, frames[0] if of_one_frame else None)


def write_refined(path: Path, results: Sequence[Refined]) -> None:
    """Write a table of all objects, those that were kept first: look at these."""
    write_table(path, COLUMNS, map(_row, sorted(results, key=lambda each: not each.kept)))


def _row(refined: Refined) -> tuple[object, ...]:
    answer = refined.answer
    return (
        refined.object_id,
        " ".join(str(at) for at in answer.request.frame if at is not None),
        "no" if refined.kept else "yes",
        f"{refined.iou:.4f}",
        f"{answer.iou_prediction:.4f}",
        f"{answer.stability:.4f}",
        refined.before.area,
        answer.mask.area,
        refined.kept,
    )
