"""Curves of IoU over clicks, models beside the classical tools, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from .evaluate import ModelScores
from .protocol import NOC_IOU
from .tables import Entrant


def curve(scores: ModelScores, source: str | None) -> tuple[float, ...]:
    """IoU after 1, 2, … clicks, of a source or on average."""
    return scores.curve if source is None else scores.curves[source]


def chart(
    entrants: Sequence[Entrant[ModelScores]], source: str | None, width: int, height: int
) -> str:
    """IoU over clicks as SVG, the box in a column of its own at the left."""
    n_clicks = len(curve(entrants[0].scores, source))
    left, right, top, bottom = 30, 12, 10, 24

    def at(column: float, value: float) -> tuple[float, float]:
        """The position of a value; column 0 is the box, 1 the first click."""
        x = left + (width - left - right) * (column + 0.5) / (n_clicks + 1)
        return round(x, 1), round(top + (height - top - bottom) * (1 - value), 1)

    drawn = []
    for value in (0, 0.2, 0.4, 0.6, 0.8, 1):
        _, y = at(0, value)
        kind = "goal" if value == NOC_IOU else "grid"
        drawn.append(f'<line class="{kind}" x1="{left}" x2="{width - right}" y1="{y}" y2="{y}"/>')
        drawn.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{value:g}</text>')
    for column, label in enumerate(["box", *map(str, range(1, n_clicks + 1))]):
        x, _ = at(column, 0)
        drawn.append(f'<text x="{x}" y="{height - 7}" text-anchor="middle">{label}</text>')
    x, _ = at(0.5, 0)
    drawn.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{height - bottom}"/>')
    drawn += [_line(entrant, source, at) for entrant in reversed(entrants)]
    return f'<svg class="chart" viewBox="0 0 {width} {height}">{"".join(drawn)}</svg>'


def _line(
    entrant: Entrant[ModelScores],
    source: str | None,
    at: Callable[[float, float], tuple[float, float]],
) -> str:
    """The curve of one entrant, a dot a click, and a diamond for the box."""
    values = curve(entrant.scores, source)
    places = [at(n, value) for n, value in enumerate(values, start=1)]
    kind = ' class="classical"' if entrant.classical else ""
    points = " ".join(f"{x},{y}" for x, y in places)
    colour, name = entrant.colour, escape(entrant.scores.name)
    drawn = [f'<polyline{kind} stroke="{colour}" points="{points}"/>']
    for n, (value, (x, y)) in enumerate(
        zip(curve(entrant.scores, source), places, strict=True), start=1
    ):
        about = f"<title>{name}, {n} clicks: {value:.2f}</title>"
        drawn.append(f'<circle cx="{x}" cy="{y}" r="3.4" fill="{colour}">{about}</circle>')
    value = entrant.score(source).iou_box
    x, y = at(0, value)
    about = f"<title>{name}, box: {value:.2f}</title>"
    diamond = f"M{x} {y - 6}l6 6l-6 6l-6-6z"
    drawn.append(f'<path d="{diamond}" fill="{colour}" stroke="#fff">{about}</path>')
    return "".join(drawn)
