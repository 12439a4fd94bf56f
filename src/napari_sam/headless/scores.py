"""Tables of scores: a row for each object and frame, frames by their leading positions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from napari_sam.engine import REVIEW_COLUMNS, FrameIndex, Review, write_table
from napari_sam.session import Annotation, Classes, GivenClass, Propagated

MASK = ("object_id", "frame", "score", "iou_prediction", "stability", "area")
ORIGIN = ("painted", "erased", "prompts", "candidate", "model", "model_hash", "precision", "source")
OUTCOME = ("warning", "stopped")
CLASS = ("class", "class_probability")


def write_scores(path: Path, results: Iterable[Propagated]) -> None:
    """Write a table of propagated objects."""
    write_table(path, MASK + OUTCOME, map(_propagated_row, results))


def write_annotation_scores(
    path: Path,
    annotations: Iterable[tuple[int, FrameIndex, Annotation]],
    classes: Classes | None = None,
    reviews: Mapping[int, Review] | None = None,
) -> None:
    """Write a table of annotations, with the origin of each mask.

    Parameters
    ----------
    annotations
        Object id, frame and annotation, as `SessionFile.annotations` yields them.
    classes
        Of the objects. The probability is empty where the user gave the class.
    reviews
        Of the objects.
    """
    given = Classes() if classes is None else classes
    said = reviews or {}
    rows = (
        (
            *_annotation_row(*each),
            *_class_cells(given.of(each[0])),
            *_review_cells(said.get(each[0])),
        )
        for each in annotations
    )
    write_table(path, MASK + ORIGIN + OUTCOME + CLASS + REVIEW_COLUMNS, rows)


def _propagated_row(result: Propagated) -> tuple[object, ...]:
    scores = _scores(result.score, result.iou_prediction, result.stability)
    at = _positions(result.frame)
    return result.object_id, at, *scores, result.mask.area, result.warning, result.stopped


def _annotation_row(object_id: int, frame: FrameIndex, a: Annotation) -> tuple[object, ...]:
    footprint = a.footprint
    return (
        object_id,
        _positions(frame),
        *_scores(a.score, a.iou_prediction, a.stability),
        *(region.area for region in (footprint.landed, footprint.painted, footprint.erased)),
        len(a.drawings),
        "" if a.candidate is None else a.candidate,
        a.model,
        a.model_hash,
        a.precision,
        "" if a.source is None else _positions(a.source),
        a.warning,
        a.stopped,
    )


def _class_cells(given: GivenClass | None) -> tuple[str, ...]:
    if given is None:
        return "", ""
    return given.name, *_scores(given.probability)


def _review_cells(review: Review | None) -> tuple[str, ...]:
    return ("",) * len(REVIEW_COLUMNS) if review is None else tuple(review.columns.values())


def _positions(frame: FrameIndex) -> str:
    """The positions of a frame on the leading axes."""
    return " ".join(str(position) for position in frame if position is not None)


def _scores(*scores: float | None) -> list[str]:
    return ["" if score is None else f"{score:.4f}" for score in scores]
