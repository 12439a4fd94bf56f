"""The report of an evaluation: one page, ``index.html``, that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from napari_sam.training.data import Item

from .contact_sheet import draw_trial, quality
from .curves import chart
from .evaluate import Evaluation
from .examples import choose_examples, sheets
from .pages import circumstances, lead, read_template, write_page
from .protocol import CORRECTED, MAX_CLICKS, MIN_AREA, NOC_IOU
from .tables import COLOURS, GREY, Entrant, Measure, headline, legend, table

MEASURES = (
    Measure("IoU, 1 click", lambda score: score.iou_click_1),
    Measure("IoU, box", lambda score: score.iou_box),
    Measure("IoU, 3 clicks", lambda score: score.iou_click_3),
    Measure("IoU, 5 clicks", lambda score: score.iou_click_5),
    Measure(f"clicks to {NOC_IOU}", lambda score: score.noc_80, MAX_CLICKS, lower_is_better=True),
)
ABOUT_CLASSICAL = "Otsu and watershed; for the box, its ellipse"


def write_report(
    folder: Path,
    evaluations: Sequence[Evaluation],
    items: Sequence[Item],
    *,
    data: str,
    command: str,
) -> Path:
    """Write ``index.html``, and the same figures as ``scores.json``.

    Parameters
    ----------
    folder
        Made if it is not there.
    evaluations
        One a model, all of the same items.
    data
        What to call the images.
    command
        What makes the page again, shown at its end.

    Returns
    -------
    The page.

    Raises
    ------
    SamError
        If the folder cannot be written.
    """
    html = page(evaluations, items, data=data, command=command)
    return write_page(folder, html, evaluations)


def page(
    evaluations: Sequence[Evaluation], items: Sequence[Item], *, data: str, command: str
) -> str:
    """The page as HTML."""
    entrants = [
        Entrant(evaluation.scores, COLOURS[n % len(COLOURS)])
        for n, evaluation in enumerate(evaluations)
    ]
    entrants.append(Entrant(evaluations[0].classical, GREY, classical=True))
    sources = list(entrants[0].scores.per_source)
    examples = [each for e in evaluations for each in choose_examples(e.model, e.trials, quality)]
    return read_template("report.html").substitute(
        data=escape(data),
        lead=escape(lead(len(evaluations[0].trials), evaluations[0].frames, sources)),
        headlines="".join(
            headline(_times(evaluation), MEASURES, entrant, entrants[-1])
            for evaluation, entrant in zip(evaluations, entrants, strict=False)
        ),
        legend="".join(legend(entrant, ABOUT_CLASSICAL) for entrant in entrants),
        overall_chart=chart(entrants, None, 1100, 330),
        charts="".join(
            f'<div class="card"><h3>{escape(source)}</h3>{chart(entrants, source, 300, 190)}</div>'
            for source in (sources if len(sources) > 1 else [])
        ),
        table=table(entrants, sources, MEASURES),
        sheets=sheets(examples, items, draw_trial),
        min_area=MIN_AREA,
        max_clicks=MAX_CLICKS,
        noc_iou=NOC_IOU,
        corrected=CORRECTED,
        circumstances=escape(circumstances(evaluations)),
        command=escape(command),
    )


def _times(evaluation: Evaluation) -> str:
    times = f"{evaluation.encode_ms:.0f} ms a frame, {evaluation.click_ms:.0f} ms a click"
    return f"{times} ({evaluation.device}, {evaluation.precision})"
