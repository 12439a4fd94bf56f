"""Labels of other tools refined, without a screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from napari_sam.engine import (
    EmbeddingCache,
    FrameIndex,
    Predictor,
    prompts_of_labels,
    write_table,
)
from napari_sam.session import Session, is_refinable, land_refined
from napari_sam.stacks import Refined, RefineRules, refine_objects

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
