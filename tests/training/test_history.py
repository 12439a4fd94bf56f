"""What is remembered of a run, and its picture."""

from __future__ import annotations

import json

import numpy as np

from napari_sam.training.evaluation.tables import COLOURS
from napari_sam.training.history import BINS, History, ValidationResult
from napari_sam.training.loop import Progress
from napari_sam.training.run_plot import FIGURES_BOX, SIZE, draw_run
from napari_sam.training.validation import Figures


def figures(mean: float) -> Figures:
    return Figures(mean - 0.1, mean + 0.1, mean)


def history(n_steps: int = 1000) -> History:
    """Judged at the start, better in the middle, worse at the end."""
    grown = History([], [ValidationResult(0, 0.0, figures(0.3), kept=False)])
    for step in range(1, n_steps + 1):
        grown.add(Progress(step, step / n_steps, 1000 / (100 + step)), 0.6 * step)
    grown.validations.append(
        ValidationResult(n_steps // 2, 0.005 * n_steps, figures(0.6), kept=True)
    )
    grown.validations.append(ValidationResult(n_steps, 0.01 * n_steps, figures(0.5), kept=False))
    return grown


def test_losses_are_means_over_stretches_of_the_run() -> None:
    long, short = history(1000), history(7)
    assert len(long.losses) <= BINS + 1
    assert sum(loss.n for loss in long.losses) == 1000
    assert [(loss.step, loss.n) for loss in short.losses] == [(n, 1) for n in range(1, 8)]
    first = long.losses[0]
    assert first.loss == np.mean([1000 / (100 + step) for step in range(1, first.n + 1)])


def test_the_best_is_what_was_kept_last() -> None:
    assert history().start.figures == figures(0.3)
    assert history().best.step == 500
    assert History([], [ValidationResult(0, 0.0, figures(0.3), kept=False)]).best.step == 0


def test_there_and_back_as_json() -> None:
    assert History.from_json(json.loads(json.dumps(history().as_json()))) == history()


def test_the_picture() -> None:
    """A line a figure, in its colour, at the height of its last value."""
    picture = np.asarray(draw_run(history(), "cells.safetensors, from pocket"))
    assert picture.shape == (SIZE[1], SIZE[0], 3)
    _, top, right, bottom = FIGURES_BOX
    for colour, value in zip(COLOURS, (0.4, 0.6, 0.5), strict=False):
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert picture[round(bottom - value * (bottom - top)), right].tolist() == rgb
    assert draw_run(History([], [history().start]), "just begun").size == SIZE
