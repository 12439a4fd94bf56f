"""Which proposals stand: a table of small frames, worked out by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from napari_sam.engine import (
    AutomaticOptions,
    FoundObject,
    GridRules,
    SamError,
    box_outline,
    decide,
    to_labels,
)

SHAPE = (40, 60)
SEEDS = AutomaticOptions(min_score=0.5)


def square(
    y: int, x: int, side: int = 10, score: float = 0.9, method: str = "seeds", **more: object
) -> FoundObject:
    """A square whose first pixel is (y, x)."""
    clicked = FoundObject.unseen((y, x), method, score=score, stability=0.9)
    return replace(clicked.with_mask(np.ones((side, side), bool), y, x), **more)


def bar(y: int, x: int, width: int, score: float = 0.9) -> FoundObject:
    clicked = FoundObject.unseen((y, x), "seeds", score=score, stability=0.9)
    return clicked.with_mask(np.ones((2, width), bool), y, x)


@dataclass(frozen=True)
class Case:
    """Proposals, options, and why each does not stand."""

    name: str
    found: tuple[FoundObject, ...]
    dropped: tuple[str | None, ...]
    options: AutomaticOptions = SEEDS
    annotated: tuple[int, int, int] | None = None  # y, x and side of a square that is labelled


GRID = AutomaticOptions(method="grid", min_score=0.5, min_stability=0.5)
CASES = (
    Case("none", (), ()),
    Case("apart", (square(0, 0), square(0, 20)), (None, None)),
    Case("low score", (square(0, 0, score=0.5), square(0, 20, score=0.51)), ("low score", None)),
    Case("a score of 0 is none", (square(0, 0, score=0.0),), (None,), replace(SEEDS, min_score=0)),
    Case(
        "low stability",
        (square(0, 0, stability=0.4), square(0, 20, stability=0.5)),
        ("low stability", None),
        replace(SEEDS, min_stability=0.5),
    ),
    Case(
        "areas",
        (square(0, 0, 3), square(0, 20, 4), square(0, 40, 10), square(20, 0, 11)),
        ("too small", None, None, "too large"),
        replace(SEEDS, min_area=16, max_area=100),
    ),
    Case(
        "what is too large hides nothing",
        (square(0, 0, 30, score=0.99), square(5, 5)),
        ("too large", None),
        replace(SEEDS, max_area=400),
    ),
    Case(
        "not round",
        (bar(0, 0, 30), square(20, 0)),
        ("not round", None),
        replace(SEEDS, min_roundness=0.6),
    ),
    Case(
        "intensities",
        tuple(square(0, 15 * n, intensity=of) for n, of in enumerate((0.39, 0.4, 0.6, 0.61))),
        ("too dark", None, None, "too bright"),
        replace(SEEDS, min_intensity=0.4, max_intensity=0.6),
    ),
    Case(
        "an intensity that nobody measured",
        (square(0, 0), square(20, 0, intensity=0.3)),
        (None, "too dark"),
        replace(SEEDS, min_intensity=0.4),
    ),
    Case(
        "at the border",
        (square(0, 20), square(5, 0), square(30, 20), square(10, 50), square(10, 20)),
        ("at the border",) * 4 + (None,),
        replace(SEEDS, border=False),
    ),
    Case(
        "what is at the border hides its parts all the same",
        (square(0, 0, 20, score=0.99), square(5, 5)),
        ("at the border", "cut by a neighbour"),
        replace(SEEDS, border=False),
    ),
    Case(
        "outside",
        (square(0, 0), square(0, 16), square(0, 14)),
        (None, "outside", None),
        replace(SEEDS, within=box_outline((-0.5, -0.5, 39.5, 19.5)), overlap=1),
    ),
    Case("the same twice", (square(0, 0), square(1, 1, score=0.95)), ("duplicate", None)),
    Case("equals: the first", (square(0, 0), square(0, 0)), (None, "duplicate")),
    Case(
        "cut by a neighbour",
        (square(0, 0, score=0.8), square(0, 7, score=0.9), square(20, 0), square(20, 9, score=0.8)),
        ("cut by a neighbour", None, None, None),
    ),
    Case(
        "too little left",
        (square(0, 0), square(0, 9, score=0.8)),
        (None, "cut by a neighbour"),
        replace(SEEDS, min_area=95),
    ),
    Case("all may overlap", (square(0, 0), square(0, 1)), (None, None), replace(SEEDS, overlap=1)),
    Case(
        "annotated",
        (square(0, 0), square(0, 20)),
        ("annotated already", None),
        annotated=(0, 5, 10),
    ),
    Case("cut off", (square(0, 0, cut_off=True),), ("cut off",)),
    Case(
        "no mask was made",
        (
            FoundObject.unseen((3, 4), "seeds", score=0.9),
            FoundObject.unseen((3, 4), "seeds", score=0.9, stability=0.3),
        ),
        ("low score", "low stability"),
    ),
    Case(
        "a grid drops by boxes",
        (square(0, 0, method="grid"), square(0, 1, score=0.8, method="grid")),
        (None, "duplicate"),
        replace(GRID, overlap=1),
    ),
    Case(
        "of two crops the smaller one's stands",
        (
            square(0, 0, method="grid"),
            square(0, 1, score=0.8, method="grid", crop=(0, 0, 30, 40)),
            square(0, 1, score=0.7, method="grid", crop=(0, 0, 20, 40)),
        ),
        ("duplicate", "duplicate", None),
        replace(GRID, overlap=1, grid=GridRules(crop_n_layers=2)),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_proposal_stands_or_says_why_not(case: Case) -> None:
    annotated = None
    if case.annotated is not None:
        y, x, side = case.annotated
        annotated = np.zeros(SHAPE, np.uint16)
        annotated[y : y + side, x : x + side] = 7
    decided = decide(case.found, case.options, SHAPE, annotated)
    assert tuple(each.dropped for each in decided) == case.dropped
    assert decide(decided, case.options, SHAPE, annotated) is not decided
    again = decide(decided, case.options, SHAPE, annotated)
    assert [each.dropped for each in again] == [each.dropped for each in decided]


def test_filters_come_and_go_without_the_network() -> None:
    found = [square(0, 0), square(0, 20, 4), square(20, 0, 6, score=0.6)]
    strict = decide(found, replace(SEEDS, min_area=30, min_score=0.7), SHAPE)
    assert [each.dropped for each in strict] == [None, "too small", "low score"]
    assert [each.dropped for each in decide(strict, SEEDS, SHAPE)] == [None] * 3


def test_pixels_are_the_better_objects() -> None:
    found = decide([square(0, 0, score=0.8), square(0, 9, score=0.9)], SEEDS, SHAPE)
    labels = to_labels(found, SHAPE, first_id=5)
    assert [int((labels == i).sum()) for i in (5, 6)] == [90, 100]
    assert to_labels([each.drop("outside") for each in found], SHAPE).max() == 0


def test_ten_thousand_objects_all_stand() -> None:
    found = [square(y, x, 4) for y in range(0, 500, 5) for x in range(0, 500, 5)]
    decided = decide(found, SEEDS, (500, 500))
    assert all(each.dropped is None for each in decided)
    assert to_labels(decided, (500, 500)).max() == 10_000


def test_a_mask_is_what_it_was_made_of() -> None:
    mask = np.random.default_rng(0).random((7, 13)) > 0.7
    found = FoundObject.unseen((1, 2), "grid", score=1, stability=1).with_mask(mask, 20, 30)
    whole = np.zeros(SHAPE, bool)
    whole[found.where] = found.mask
    expected = np.zeros(SHAPE, bool)
    expected[20:27, 30:43] = mask
    np.testing.assert_array_equal(whole, expected)
    assert found.area == mask.sum()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"min_area": 50, "max_area": 20}, "50 pixels or more and of 20 or less. Give a min_area"),
        ({"overlap": 1.5}, "overlap is 1.5. Give a number of 0 or more and of 1 or less."),
        ({"within": box_outline((3, 3, 3, 9))}, "has no area. Draw it larger"),
        ({"within": ((0, 0), (5, 5))}, "has no area. Draw it larger"),
        ({"within": ()}, "bounds no part of a frame"),
        ({"within": ((0, float("nan")), (5, 5), (0, 5))}, "bounds no part of a frame"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(SamError, match=re.escape(says)):
        AutomaticOptions(**given)
