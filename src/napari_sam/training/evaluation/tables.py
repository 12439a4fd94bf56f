"""Models beside the classical tools, as HTML: their means, and a table source by source."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Generic, Protocol, TypeVar

# Okabe and Ito 2008: told apart by colour-blind eyes as well
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
GREY = "#7a8394"
UNKNOWN = "–"


class Judged(Protocol):
    """Scores of any kind, each with ``n_objects``."""

    @property
    def name(self) -> str:
        """Whose."""

    @property
    def overall(self) -> Any:
        """On average over the sources."""

    @property
    def per_source(self) -> Mapping[str, Any]:
        """Of each source."""


Scores = TypeVar("Scores", bound=Judged)


@dataclass(frozen=True)
class Entrant(Generic[Scores]):
    """A model's scores and how they are drawn; the classical tools come last, grey and dashed."""

    scores: Scores
    colour: str
    classical: bool = False

    def score(self, source: str | None) -> Any:
        """Of a source, or on average."""
        return self.scores.overall if source is None else self.scores.per_source[source]


@dataclass(frozen=True)
class Measure:
    """One column of the table; NaN is unknown."""

    title: str
    of: Callable[[Any], float]  # of a score
    most: float = 1.0
    lower_is_better: bool = False

    def better(self, value: float, other: float) -> bool:
        """Whether a value beats another one, as both are shown."""
        digits = self._digits
        shown, than = round(value, digits), round(other, digits)
        return shown < than if self.lower_is_better else shown > than

    def share(self, value: float) -> float:
        """The value as a length between 0 and 1."""
        return 0.0 if math.isnan(value) else value / self.most

    def text(self, value: float) -> str:
        """The value as people read it."""
        return UNKNOWN if math.isnan(value) else f"{value:.{self._digits}f}"

    @property
    def _digits(self) -> int:
        return 2 if self.most <= 1 else 1


def headline(
    about: str, measures: Sequence[Measure], entrant: Entrant[Any], classical: Entrant[Any]
) -> str:
    """A model's means, each with what the classical tools reach."""
    figures = []
    for measure in measures:
        own, other = measure.of(entrant.score(None)), measure.of(classical.score(None))
        verdict = "better" if measure.better(own, other) else ""
        verdict = "worse" if measure.better(other, own) else verdict
        figures.append(
            f'<div class="figure"><span>{measure.title}</span><b>{measure.text(own)}</b>'
            f'<span class="{verdict}">{classical.scores.name} {measure.text(other)}</span></div>'
        )
    name = f'<i class="key" style="background:{entrant.colour}"></i>{escape(entrant.scores.name)}'
    return (
        f'<div class="card model"><div class="name">{name}<small>{escape(about)}</small>'
        f"</div>{''.join(figures)}</div>"
    )


def legend(entrant: Entrant[Any], about_classical: str) -> str:
    """The colour of an entrant."""
    key = f'<i class="key" style="background:{entrant.colour}"></i>'
    what = f" ({about_classical})" if entrant.classical else ""
    return f"<span>{key}{escape(entrant.scores.name)}{what}</span>"


def table(
    entrants: Sequence[Entrant[Any]], sources: Sequence[str], measures: Sequence[Measure]
) -> str:
    """A row a source, under the row of means; for each measure a column an entrant."""
    span = len(entrants)
    titles = "".join(f'<th class="first" colspan="{span}">{m.title}</th>' for m in measures)
    names = "".join(
        f"<th{_first(n)}>{'classical' if e.classical else _breakable(e.scores.name)}</th>"
        for _ in measures
        for n, e in enumerate(entrants)
    )
    rows = [_row("mean over the sources", entrants, None, measures, "mean")]
    rows += [_row(source, entrants, source, measures, "source") for source in sources]
    return (
        f'<table><thead><tr><th></th><th class="first"></th>{titles}</tr>'
        f'<tr><th>source</th><th class="first">objects</th>{names}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _row(
    title: str,
    entrants: Sequence[Entrant[Any]],
    source: str | None,
    measures: Sequence[Measure],
    row_kind: str,
) -> str:
    cells = [f'<td class="first">{entrants[0].score(source).n_objects}</td>']
    for measure in measures:
        values = [measure.of(entrant.score(source)) for entrant in entrants]
        best = (min if measure.lower_is_better else max)(values)
        for n, (entrant, value) in enumerate(zip(entrants, values, strict=True)):
            text = measure.text(value)
            kinds = {
                "first": n == 0,
                "classical": entrant.classical,
                "below": measure.better(values[-1], value),
                "best": text == measure.text(best) != UNKNOWN,
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
