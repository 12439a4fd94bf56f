"""A training run as a picture: loss above, figures on the images kept out below, over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from .evaluation.tables import COLOURS, GREY
from .history import History
from .validation import Figures

Point: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[int, int, int, int]  # left, top, right, bottom

SIZE = (1480, 980)  # pixels: sharp on any screen
LOSS_BOX: Box = (110, 140, 1190, 380)
FIGURES_BOX: Box = (110, 490, 1190, 890)
INK, GRID, PAPER = "#20242c", "#dfe3ea", "#ffffff"
LINE_WIDTH, DOT, TEXT = 5, 8, 26

LINES: tuple[tuple[str, Callable[[Figures], float]], ...] = (
    ("one click", lambda figures: figures.iou_click_1),
    ("box", lambda figures: figures.iou_box),
    ("three clicks", lambda figures: figures.iou_click_3),
)


def draw_run(history: History, title: str) -> Image.Image:
    """The picture; the upright line marks the best state, whose weights were written."""
    picture = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(TEXT)
    draw.text((LOSS_BOX[0], 28), title, INK, font)
    minutes = [loss.minutes for loss in history.losses] + [
        validation.minutes for validation in history.validations
    ]
    last = max(*minutes, 1e-3)
    losses = [(loss.minutes / last, loss.loss) for loss in history.losses]
    top = max((value for _, value in losses), default=1.0)
    _axes(draw, font, LOSS_BOX, "loss", [0, top / 2, top])
    _polyline(draw, LOSS_BOX, [(x, y / top) for x, y in losses], GREY)

    _axes(draw, font, FIGURES_BOX, "mean IoU", [0, 0.2, 0.4, 0.6, 0.8, 1])
    best = history.best.minutes / last
    draw.line([_at(FIGURES_BOX, (best, 0)), _at(FIGURES_BOX, (best, 1))], GREY, 2)
    taken: list[float] = []
    for colour, (name, figure) in zip(COLOURS, LINES, strict=False):
        points = [(j.minutes / last, figure(j.figures)) for j in history.validations]
        _polyline(draw, FIGURES_BOX, points, colour, dots=True)
        y = _beside(taken, _at(FIGURES_BOX, points[-1])[1])
        text = f"{name} {points[-1][1]:.2f}"
        draw.text((FIGURES_BOX[2] + 20, y), text, colour, font, anchor="lm")
    draw.text(_at(FIGURES_BOX, (0, 0), 24), "0", INK, font, anchor="mt")
    draw.text(_at(FIGURES_BOX, (1, 0), 24), f"{last:.1f} min", INK, font, anchor="rt")
    return picture


def _axes(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    box: Box,
    title: str,
    values: Sequence[float],
) -> None:
    draw.text((box[0], box[1] - 20), title, INK, font, anchor="lb")
    for value in values:
        x, y = _at(box, (0, value / values[-1]))
        draw.line([(x, y), (box[2], y)], GRID, 2)
        draw.text((x - 14, y), f"{value:.2g}", INK, font, anchor="rm")


def _polyline(
    draw: ImageDraw.ImageDraw, box: Box, points: Sequence[Point], colour: str, dots: bool = False
) -> None:
    places = [_at(box, point) for point in points]
    if len(places) > 1:
        draw.line(places, colour, LINE_WIDTH, joint="curve")
    if dots or len(places) == 1:
        for place in places:
            draw.circle(place, DOT, colour)


def _at(box: Box, point: Point, below: float = 0) -> Point:
    """The position in a box of a point from 0 to 1 on both axes."""
    left, top, right, bottom = box
    return left + point[0] * (right - left), bottom - point[1] * (bottom - top) + below


def _beside(taken: list[float], y: float) -> float:
    """A height near the one wanted that no other name takes."""
    free = min(
        (y + sign * shift for shift in range(0, 400, 4) for sign in (1, -1)),
        key=lambda at: (any(abs(at - other) < 1.2 * TEXT for other in taken), abs(at - y)),
    )
    taken.append(free)
    return free
