"""Simulated clicks against masks small enough to see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam.training.clicks import (
    bounding_box,
    corrective_click,
    depth,
    interior_point,
    random_point,
)


def drawn(*rows: str) -> np.ndarray:
    """A mask from rows of # and other characters."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])


@dataclass(frozen=True)
class Interior:
    name: str
    mask: np.ndarray
    point: tuple[int, int]


INTERIORS = (
    Interior("one pixel", drawn("...", "..#"), (1, 2)),
    Interior("square", drawn(".....", ".###.", ".###.", ".###."), (2, 2)),
    Interior("the wider end", drawn("###....", "#######", "###...."), (1, 1)),
    Interior("the image's border is outside", drawn("#####", "#####", "#####"), (1, 1)),
)


@pytest.mark.parametrize("case", INTERIORS, ids=lambda c: c.name)
def test_interior_point(case: Interior) -> None:
    assert interior_point(case.mask) == case.point


def test_depth_counts_pixels_to_the_outside() -> None:
    expected = [[1, 1, 1, 1, 1], [1, 2, 2, 2, 1], [1, 1, 1, 1, 1]]
    assert depth(np.ones((3, 5), bool)).tolist() == expected
    assert not depth(np.zeros((3, 5), bool)).any()


TRUTH = drawn(
    ".........",
    ".####....",
    ".####....",
    ".####....",
    ".........",
)


@dataclass(frozen=True)
class Correction:
    name: str
    predicted: np.ndarray
    click: tuple[tuple[int, int], int]


CORRECTIONS = (
    Correction("nothing found: the first click", np.zeros_like(TRUTH), ((2, 2), 1)),
    Correction("all is well: the interior again", TRUTH, ((2, 2), 1)),
    Correction("all taken: a negative click", np.ones_like(TRUTH), ((1, 6), 0)),
    Correction(
        "as deep on both sides: what was missed",
        drawn(".........", ".##.#....", ".###..#..", ".####....", "........."),
        ((1, 3), 1),
    ),
)


@pytest.mark.parametrize("case", CORRECTIONS, ids=lambda c: c.name)
def test_corrective_click(case: Correction) -> None:
    assert corrective_click(case.predicted, TRUTH) == case.click


masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))).filter(np.any)


@given(mask=masks, seed=st.integers(0, 99), sharpness=st.floats(0, 4))
def test_points_lie_in_the_mask(mask: np.ndarray, seed: int, sharpness: float) -> None:
    assert mask[interior_point(mask)]
    assert mask[random_point(mask, np.random.default_rng(seed), sharpness)]


@given(predicted=masks, seed=st.integers(0, 99))
def test_a_correction_lies_in_an_error(predicted: np.ndarray, seed: int) -> None:
    truth = np.random.default_rng(seed).random(predicted.shape) < 0.5
    truth[0, 0] = True
    point, label = corrective_click(predicted, truth)
    if (predicted != truth).any():
        assert predicted[point] != truth[point]
    assert truth[point] == bool(label)


@given(mask=masks)
def test_bounding_box_is_tight(mask: np.ndarray) -> None:
    y0, x0, y1, x1 = bounding_box(mask)
    assert mask[y0 : y1 + 1, x0 : x1 + 1].sum() == mask.sum()
    for side in (mask[y0], mask[y1], mask[:, x0], mask[:, x1]):
        assert side.any()
