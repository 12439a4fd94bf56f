"""The report of an evaluation: one page, ``index.html``, that needs nothing beside it."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from napari_sam.engine import FrameError, write_text
from napari_sam.training.data import Item

from .contact_sheet import choose, draw_cases
from .curves import COLOURS, GREY, Entrant, chart
from .evaluate import CLASSICAL, Evaluation
from .protocol import CORRECTED, MAX_CLICKS, MIN_AREA, NOC_IOU, Score


@dataclass(frozen=True)
class Measure:
    """One column of the table."""

    title: str
    of: Callable[[Score], float]
    lower_is_better: bool = False

    def better(self, value: float, other: float) -> bool:
        """Whether a value beats another one, as both are shown."""
        shown, than = float(self.text(value)), float(self.text(other))
        return shown < than if self.lower_is_better else shown > than

    def share(self, value: float) -> float:
        """The value as a length between 0 and 1."""
        return value / MAX_CLICKS if self.lower_is_better else value

    def text(self, value: float) -> str:
        """The value as people read it."""
        return f"{value:.1f}" if self.lower_is_better else f"{value:.2f}"


MEASURES = (
    Measure("IoU, 1 click", lambda score: score.iou_click_1),
    Measure("IoU, box", lambda score: score.iou_box),
    Measure("IoU, 3 clicks", lambda score: score.iou_click_3),
    Measure("IoU, 5 clicks", lambda score: score.iou_click_5),
    Measure(f"clicks to {NOC_IOU}", lambda score: score.noc_80, lower_is_better=True),
)


def as_json(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """One model's figures; of several models, those of each by its name."""
    if len(evaluations) == 1:
        return evaluations[0].as_json()
    return {evaluation.model: evaluation.as_json() for evaluation in evaluations}


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
    figures = json.dumps(as_json(evaluations), indent=2)
    target = make_folder(folder) / "index.html"
    write_text(target, html)
    write_text(target.with_name("scores.json"), figures)
    return target


def make_folder(folder: Path) -> Path:
    """The folder, made if it is not there.

    Raises
    ------
    FrameError
        If it cannot be made, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


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
    template = Template(files(__package__).joinpath("report.html").read_text("utf-8"))
    return template.substitute(
        data=escape(data),
        lead=escape(_lead(evaluations, sources)),
        headlines="".join(
            headline(evaluation, entrant, entrants[-1])
            for evaluation, entrant in zip(evaluations, entrants, strict=False)
        ),
        legend="".join(map(_legend, entrants)),
        overall_chart=chart(entrants, None, 1100, 330),
        charts="".join(
            f'<div class="card"><h3>{escape(source)}</h3>{chart(entrants, source, 300, 190)}</div>'
            for source in (sources if len(sources) > 1 else [])
        ),
        table=table(entrants, sources),
        sheets=sheets(evaluations, items),
        min_area=MIN_AREA,
        max_clicks=MAX_CLICKS,
        noc_iou=NOC_IOU,
        corrected=CORRECTED,
        circumstances=escape(_circumstances(evaluations)),
        command=escape(command),
    )


def headline(evaluation: Evaluation, entrant: Entrant, classical: Entrant) -> str:
    """A model's means, each with what the classical tools reach."""
    figures = []
    for measure in MEASURES:
        own, other = measure.of(entrant.score(None)), measure.of(classical.score(None))
        verdict = "better" if measure.better(own, other) else ""
        verdict = "worse" if measure.better(other, own) else verdict
        figures.append(
            f'<div class="figure"><span>{measure.title}</span><b>{measure.text(own)}</b>'
            f'<span class="{verdict}">{CLASSICAL} {measure.text(other)}</span></div>'
        )
    name = f'<i class="key" style="background:{entrant.colour}"></i>{escape(evaluation.model)}'
    times = f"{evaluation.encode_ms:.0f} ms a frame, {evaluation.click_ms:.0f} ms a click"
    where = f"{escape(evaluation.device)}, {evaluation.precision}"
    return (
        f'<div class="card model"><div class="name">{name}<small>{times} ({where})</small>'
        f"</div>{''.join(figures)}</div>"
    )


def _legend(entrant: Entrant) -> str:
    key = f'<i class="key" style="background:{entrant.colour}"></i>'
    what = " (Otsu and watershed; for the box, its ellipse)" if entrant.classical else ""
    return f"<span>{key}{escape(entrant.scores.name)}{what}</span>"


def table(entrants: Sequence[Entrant], sources: Sequence[str]) -> str:
    """A row a source, under the row of means; for each measure a column an entrant."""
    span = len(entrants)
    titles = "".join(f'<th class="first" colspan="{span}">{m.title}</th>' for m in MEASURES)
    names = "".join(
        f"<th{_first(n)}>{'classical' if e.classical else _breakable(e.scores.name)}</th>"
        for _ in MEASURES
        for n, e in enumerate(entrants)
    )
    rows = [_row("mean over the sources", entrants, None, "mean")]
    rows += [_row(source, entrants, source, "source") for source in sources]
    return (
        f'<table><thead><tr><th></th><th class="first"></th>{titles}</tr>'
        f'<tr><th>source</th><th class="first">objects</th>{names}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _row(title: str, entrants: Sequence[Entrant], source: str | None, row_kind: str) -> str:
    cells = [f'<td class="first">{entrants[0].score(source).n_objects}</td>']
    for measure in MEASURES:
        values = [measure.of(entrant.score(source)) for entrant in entrants]
        best = (min if measure.lower_is_better else max)(values)
        for n, (entrant, value) in enumerate(zip(entrants, values, strict=True)):
            below = measure.better(values[-1], value)
            text = measure.text(value)
            kinds = {
                "first": n == 0,
                "classical": entrant.classical,
                "below": below,
                "best": text == measure.text(best),
            }
            shown = " ".join(["bar", *(kind for kind, holds in kinds.items() if holds)])
            bar = f"--share:{measure.share(value):.3f};--tint:{entrant.colour}55"
            cells.append(f'<td class="{shown}" style="{bar}">{text}</td>')
    return f'<tr class="{row_kind}"><th>{escape(title)}</th>{"".join(cells)}</tr>'


def _first(n: int) -> str:
    return ' class="first"' if n == 0 else ""


def _breakable(name: str) -> str:
    """A name that may go on in the next line, so that a path does not widen its column."""
    return re.sub(r"([/._-])", r"\1<wbr>", escape(name))


def sheets(evaluations: Sequence[Evaluation], items: Sequence[Item]) -> str:
    """The contact sheets, one a model: the worst and the median cases of each source."""
    cases = [case for e in evaluations for case in choose(e.model, e.trials)]
    drawn = dict(draw_cases(cases, items))
    parts = []
    for evaluation in evaluations:
        own = [case for case in cases if case.model == evaluation.model]
        for source in sorted({case.trial.score.source for case in own}):
            figures = [drawn[case] for case in own if case.trial.score.source == source]
            title = f"{evaluation.model}: {source}" if len(evaluations) > 1 else source
            parts.append(f'<h3>{escape(title)}</h3><div class="sheet">{"".join(figures)}</div>')
    return "".join(parts)


def _lead(evaluations: Sequence[Evaluation], sources: Sequence[str]) -> str:
    trials = evaluations[0].trials
    frames = {trial.frame for trial in trials}
    images = {frame.item for frame in frames}
    counts = (
        _count(len(trials), "object"),
        _count(len(frames), "frame"),
        _count(len(images), "image"),
        _count(len(sources), "source"),
    )
    return f"{counts[0]} in {counts[1]} of {counts[2]} from {counts[3]}"


def _circumstances(evaluations: Sequence[Evaluation]) -> str:
    versions = f"napari-sam {version('napari-sam-annotator')}, PyTorch {version('torch')}"
    times = "; ".join(
        f"{e.model} ({e.hash}) took {e.seconds:.0f} s on {e.device} in {e.precision}"
        for e in evaluations
    )
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return f"{date.today().isoformat()}. {versions}, {machine}. {times}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _unwritable(folder: Path, error: OSError) -> FrameError:
    return FrameError(
        f"The report cannot be written to {folder}: {error.strerror or error}. "
        "Choose a folder that can be written to and has room."
    )
