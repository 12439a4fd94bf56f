"""The report of automatic segmentation: what was found, what was missed, and what is no object.

One page, ``index.html``, that needs nothing beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.training.data import AnnotatedFrame, Item

from .automatic import AutomaticEvaluation, FrameResult
from .contact_sheet import Window, outline, png
from .examples import Example, choose_examples, sheets
from .matching import CLOSE, MATCHED, FoundScore
from .pages import circumstances, lead, read_template, write_page
from .protocol import MIN_AREA
from .tables import COLOURS, GREY, Entrant, Measure, headline, legend, table

LONG_SIDE = 640  # px of the picture
ABOUT_CLASSICAL = "Otsu and watershed"

MEASURES = (
    Measure(f"F1 at {MATCHED}", lambda score: score.f1_50),
    Measure("precision", lambda score: score.precision),
    Measure("recall", lambda score: score.recall),
    Measure(f"F1 at {CLOSE}", lambda score: score.f1_75),
    Measure("IoU of pairs", lambda score: score.matched_iou),
    Measure("PQ", lambda score: score.pq),
)


def write_found_report(
    folder: Path,
    evaluations: Sequence[AutomaticEvaluation],
    items: Sequence[Item],
    *,
    data: str,
    command: str,
) -> Path:
    """Write ``index.html``, and the same figures as ``scores.json``; see `write_report`."""
    html = found_page(evaluations, items, data=data, command=command)
    return write_page(folder, html, evaluations)


def found_page(
    evaluations: Sequence[AutomaticEvaluation], items: Sequence[Item], *, data: str, command: str
) -> str:
    """The page as HTML."""
    entrants = [Entrant(e.scores, COLOURS[n % len(COLOURS)]) for n, e in enumerate(evaluations)]
    entrants.append(Entrant(evaluations[0].classical, GREY, classical=True))
    sources = list(entrants[0].scores.per_source)
    n_objects = entrants[0].scores.overall.n_objects
    examples = [each for e in evaluations for each in choose_examples(e.model, e.results, quality)]
    return read_template("found_report.html").substitute(
        data=escape(data),
        lead=escape(lead(n_objects, evaluations[0].frames, sources)),
        headlines="".join(
            headline(_about(each), MEASURES, entrant, entrants[-1])
            for each, entrant in zip(evaluations, entrants, strict=False)
        ),
        legend="".join(legend(entrant, ABOUT_CLASSICAL) for entrant in entrants),
        table=table(entrants, sources, MEASURES),
        misses="".join(map(_misses, evaluations)),
        sheets=sheets(examples, items, draw_frame),
        min_area=MIN_AREA,
        matched=MATCHED,
        circumstances=escape(circumstances(evaluations)),
        command=escape(command),
    )


def quality(result: FrameResult) -> float:
    """By what frames are ranked: F1, or recall where not all objects are labelled."""
    score = FoundScore.of(result.match.counts)
    return score.recall if math.isnan(score.f1_50) else score.f1_50


def draw_frame(example: Example[FrameResult], frame: AnnotatedFrame) -> str:
    """A frame with the outlines of what was found, missed, and found wrongly."""
    match = example.result.match
    found = example.result.labels.unpack()
    ids = {
        "matched": [id_ for _, id_, _ in match.pairs],
        "false" if match.complete else "unlabelled": match.false,
    }
    missed = {"rejected": match.rejected, "never": match.never_proposed}
    outlines = [_outlines(found, chosen, kind) for kind, chosen in ids.items()]
    outlines += [_outlines(frame.labels, chosen, kind) for kind, chosen in missed.items()]
    height, width = found.shape
    score = FoundScore.of(match.counts)
    reached = f"recall {score.recall:.2f}" if math.isnan(score.f1_50) else f"F1 {score.f1_50:.2f}"
    said = ", ".join(
        f"{len(each)} {what}"
        for what, each in (
            ("found", match.pairs),
            ("false" if match.complete else "not labelled", match.false),
            ("rejected", match.rejected),
            ("never proposed", match.never_proposed),
        )
    )
    return (
        f'<figure style="--frame:url({png(frame.image, LONG_SIDE)})"><div class="panels one"><div>'
        f'<svg viewBox="-0.5 -0.5 {width} {height}">{"".join(outlines)}</svg></div></div>'
        f'<figcaption><b class="{example.kind}">{example.kind}</b> {escape(str(frame.name))} · '
        f"<b>{reached}</b> · {said}</figcaption></figure>"
    )


def _outlines(labels: NDArray[np.integer], ids: Sequence[int], kind: str) -> str:
    """The borders of some objects."""
    boxes = ndimage.find_objects(labels.astype(np.int32))
    parts = []
    for id_ in ids:
        rows, columns = boxes[id_ - 1]
        window = Window(
            rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start
        )
        parts.append(outline(labels == id_, window, kind))
    return "".join(parts)


def _misses(evaluation: AutomaticEvaluation) -> str:
    """Why objects were missed, on average."""
    score = evaluation.scores.overall
    return (
        f"<p>{escape(evaluation.model)}: of the objects, {score.recall:.0%} were found, "
        f"{score.rejected:.0%} were proposed but rejected, {score.never_proposed:.0%} never "
        "proposed.</p>"
    )


def _about(evaluation: AutomaticEvaluation) -> str:
    where = f"{evaluation.device}, {evaluation.precision}"
    return f"{evaluation.method}, {evaluation.seconds_a_frame:.1f} s a frame ({where})"
