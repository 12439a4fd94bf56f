"""Drawings become prompts, in the coordinates of the frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam.engine import PromptError, Prompts
from napari_sam.session import Drawing, drawings_of, prompts_from

FRAME_SHAPE = (40, 50)
SQUARE = ((10.0, 20.0), (10.0, 30.0), (18.0, 30.0), (18.0, 20.0))
TILTED = ((10.0, 25.0), (14.0, 30.0), (18.0, 25.0), (14.0, 20.0))


@dataclass(frozen=True)
class DrawingCase:
    name: str
    drawings: tuple[Drawing, ...]
    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask_area: int = 0


DRAWING_CASES = [
    DrawingCase("a click", (Drawing("point", ((3.5, 4.0),)),), ((3.5, 4.0),), (1,)),
    DrawingCase("a negative click", (Drawing("point", ((3.0, 4.0),), 0),), ((3.0, 4.0),), (0,)),
    DrawingCase("a box", (Drawing("rectangle", SQUARE),), box=(10, 20, 18, 30)),
    DrawingCase(
        "a tilted box is its bounding box", (Drawing("rectangle", TILTED),), box=(10, 20, 18, 30)
    ),
    DrawingCase(
        "of two boxes the last counts",
        (Drawing("rectangle", ((0, 0), (0, 9), (9, 9), (9, 0))), Drawing("rectangle", SQUARE)),
        box=(10, 20, 18, 30),
    ),
    DrawingCase(
        "an outline is a mask and its box",
        (Drawing("polygon", SQUARE),),
        box=(10, 20, 18, 30),
        mask_area=80,
    ),
    DrawingCase(
        "a click without a drag is no box",
        (Drawing("rectangle", ((5, 5), (5, 6), (6, 6), (6, 5))),),
    ),
    DrawingCase(
        "a scribble is five points",
        (Drawing("path", ((0.0, 0.0), (0.0, 8.0))),),
        ((0, 0), (0, 2), (0, 4), (0, 6), (0, 8)),
        (1, 1, 1, 1, 1),
    ),
    DrawingCase(
        "points add up in their order",
        (Drawing("point", ((1, 1),)), Drawing("rectangle", SQUARE), Drawing("point", ((2, 2),), 0)),
        ((1, 1), (2, 2)),
        (1, 0),
        (10, 20, 18, 30),
    ),
]


@pytest.mark.parametrize("case", DRAWING_CASES, ids=lambda c: c.name)
def test_prompts_from(case: DrawingCase) -> None:
    prompts = prompts_from(case.drawings, FRAME_SHAPE)
    assert prompts.points == case.points
    assert prompts.labels == case.labels
    assert (prompts.mask is None) == (case.mask_area == 0)
    if prompts.mask is not None:
        assert prompts.mask.sum() == case.mask_area
        rows, columns = np.nonzero(prompts.mask)
        tight = (rows.min(), columns.min(), rows.max(), columns.max())
        np.testing.assert_allclose(prompts.box, tight, atol=0.5)
    elif case.box is None:
        assert prompts.box is None
    else:
        assert prompts.box == case.box


def test_two_outlines_are_united() -> None:
    left = Drawing("polygon", ((0, 0), (0, 5), (5, 5), (5, 0)))
    right = Drawing("polygon", ((0, 10), (0, 15), (5, 15), (5, 10)))
    prompts = prompts_from((left, right), FRAME_SHAPE)
    assert prompts.mask.sum() == 2 * 25
    np.testing.assert_allclose(prompts.box, (0, 0, 5, 15), atol=0.6)


coordinates = st.floats(0, 30)


@given(
    st.lists(st.tuples(coordinates, coordinates, st.integers(0, 1)), max_size=5),
    st.none() | st.tuples(*[coordinates] * 4).filter(lambda b: abs(b[2] - b[0]) > 3),
)
def test_prompts_drawn_are_the_prompts_given(points, box) -> None:
    given_prompts = Prompts.from_points([p[:2] for p in points], [p[2] for p in points])
    if box is not None:
        given_prompts = given_prompts.with_box(box)
    back = prompts_from(drawings_of(given_prompts), FRAME_SHAPE)
    assert back.points == given_prompts.points
    assert back.labels == given_prompts.labels
    if box is not None:
        assert sorted(back.box[::2]) == sorted(given_prompts.box[::2])
        assert sorted(back.box[1::2]) == sorted(given_prompts.box[1::2])


WRONG_DRAWINGS = {
    "an unknown kind": ("star", ((1, 2),), 1),
    "no vertex": ("polygon", (), 1),
    "a vertex of three": ("point", ((1, 2, 3),), 1),
    "no vertices": ("point", 5, 1),
    "label 2": ("point", ((1, 2),), 2),
}


@pytest.mark.parametrize("name", WRONG_DRAWINGS)
def test_what_is_no_drawing(name):
    with pytest.raises(PromptError):
        Drawing(*WRONG_DRAWINGS[name])
