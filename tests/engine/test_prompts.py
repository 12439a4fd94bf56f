"""Prompts of one object in one frame."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam.engine.errors import PromptError
from napari_sam.engine.prompts import Prompts, checked_object_id

FRAME = (40, 50)
COORDINATES = st.floats(-20, 80)
PROMPTS = st.builds(
    lambda points, box: Prompts(
        tuple(p for p, _ in points), tuple(label for _, label in points), box
    ),
    st.lists(st.tuples(st.tuples(COORDINATES, COORDINATES), st.integers(0, 1)), max_size=6),
    st.none() | st.tuples(*[COORDINATES] * 4),
)


def disc(radius: float = 8, centre: tuple[int, int] = (20, 20)) -> np.ndarray:
    rows, columns = np.ogrid[: FRAME[0], : FRAME[1]]
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2


@pytest.mark.parametrize("points", [[(30, 40), (10, 12)], np.array([[30, 40], [10, 12]])], ids=type)
@pytest.mark.parametrize("labels", [[1, 0], np.array([1, 0], np.uint8)], ids=type)
def test_points_are_given_as_lists_or_arrays(points, labels):
    expected = Prompts(((30.0, 40.0), (10.0, 12.0)), (1, 0))
    assert Prompts(points, labels) == Prompts.from_points(points, labels) == expected
    assert Prompts(np.zeros((0, 2)), np.zeros(0, int), (1, 2, 3, 4)) == Prompts(box=(1, 2, 3, 4))


def test_prompts_grow_without_changing():
    nothing = Prompts()
    click = nothing.with_point((30, 40))
    more = click.with_point((10, 12), label=0).with_box((5, 6, 35, 45)).with_mask(disc())
    assert [bool(nothing), bool(click)] == [False, True]
    assert [nothing.n, click.n, more.n] == [0, 1, 4]
    assert more.points == ((30.0, 40.0), (10.0, 12.0))
    assert more.labels == (1, 0)
    assert more.without_point(0).points == ((10.0, 12.0),)
    assert more.without_point(0).labels == (0,)
    assert more.with_box(None).with_mask(None).without_point(1) == click
    with pytest.raises(FrozenInstanceError):
        click.points = ()


def test_prompts_are_equal_by_content():
    ours, theirs = (Prompts.from_mask(disc()).with_point([1, 2]) for _ in range(2))
    assert ours == theirs
    assert hash(ours) == hash(theirs)
    assert ours != ours.with_mask(disc(7))
    assert ours != ours.with_mask(None)
    assert ours != ours.with_point((1, 2), 0)
    assert Prompts.from_mask(disc()) != Prompts.from_mask(disc(centre=(21, 20)))
    assert Prompts() != "prompts"


def test_a_mask_cannot_be_changed_from_outside():
    mask = disc()
    prompts = Prompts.from_mask(mask)
    mask[:] = False
    assert prompts.mask.sum() == disc().sum()
    with pytest.raises(ValueError, match="read-only"):
        prompts.mask[0, 0] = True
    assert prompts.with_point((1, 2)).mask is prompts.mask


@given(PROMPTS)
def test_equal_prompts_have_equal_hashes(prompts):
    again = Prompts(prompts.points, prompts.labels, prompts.box)
    assert prompts == again
    assert hash(prompts) == hash(again)
    assert prompts.n == len(prompts.points) + (prompts.box is not None)


def test_points_are_positive_unless_labelled():
    assert Prompts.from_points(np.array([[1, 2], [3, 4]])).labels == (1, 1)
    assert Prompts.from_points([(1, 2)], labels=[0]) == Prompts(((1.0, 2.0),), (0,))


def test_box_corners_come_in_any_order():
    assert Prompts.from_box((30, 5, 10, 45)).box == (10.0, 5.0, 30.0, 45.0)


def test_a_rotated_rectangle_becomes_the_box_around_it():
    diamond = [(20, 10), (30, 20), (20, 30), (10, 20)]
    assert Prompts.from_rectangle(diamond).box == (10.0, 10.0, 30.0, 30.0)


def test_shapes_give_mask_and_box():
    square = Prompts.from_polygon([(9.5, 4.5), (9.5, 14.5), (19.5, 14.5), (19.5, 4.5)], FRAME)
    assert square.box == (9.5, 4.5, 19.5, 14.5)
    assert square.mask.sum() == 100
    assert square.mask[10:20, 5:15].all()
    circle = Prompts.from_ellipse([(12, 12), (12, 28), (28, 28), (28, 12)], FRAME)
    assert np.array_equal(circle.mask, disc())
    assert circle.box == (11.5, 11.5, 28.5, 28.5)


def test_a_shape_is_cut_at_the_frame():
    prompts = Prompts.from_polygon([(-10, -10), (-10, 5.5), (5.5, 5.5), (5.5, -10)], FRAME)
    assert prompts.mask.shape == FRAME
    assert prompts.box == (-0.5, -0.5, 5.5, 5.5)


@given(st.lists(st.tuples(COORDINATES, COORDINATES), min_size=1, max_size=8), st.floats(1, 30))
def test_scribbles_are_even(path, spacing):
    prompts = Prompts.from_scribble(path, label=0, spacing=spacing)
    points = np.array(prompts.points)
    length = np.hypot(*np.diff(path, axis=0).T).sum()  # a norm would lose the smallest numbers
    assert np.allclose(points[[0, -1]], np.array(path)[[0, -1]] if length else path[0])
    assert len(points) == 1 + np.ceil(length / spacing)
    assert (np.linalg.norm(np.diff(points, axis=0), axis=1) <= spacing + 1e-6).all()
    assert set(prompts.labels) == {0}


def test_a_straight_scribble():
    assert Prompts.from_scribble([(0, 0), (0, 30)], spacing=10).points == (
        (0.0, 0.0),
        (0.0, 10.0),
        (0.0, 20.0),
        (0.0, 30.0),
    )


# Fitting into a frame

POINT = Prompts.from_points([(20, 20)])
FITTED_CASES = {
    "all well": (POINT, POINT, ()),
    "one point outside": (
        POINT.with_point((40, 10)),
        POINT,
        ("1 point was outside the frame and left out.",),
    ),
    "two points outside": (
        POINT.with_point((-0.51, 10), 0).with_point((1, 49.5)),
        POINT,
        ("2 points were outside the frame and left out.",),
    ),
    "points at the very edge": (
        Prompts.from_points([(-0.5, -0.5), (39.49, 49.49)]),
        Prompts.from_points([(-0.5, -0.5), (39.49, 49.49)]),
        (),
    ),
    "twice in one pixel": (
        Prompts.from_points([(20.2, 20), (5, 5), (19.8, 20)]),
        Prompts.from_points([(5, 5), (19.8, 20)]),
        ("Of several points in one pixel the last one counts.",),
    ),
    "positive, then negative": (
        Prompts.from_points([(20, 20), (5, 5), (20, 20)], [1, 1, 0]),
        Prompts.from_points([(5, 5), (20, 20)], [1, 0]),
        ("Of several points in one pixel the last one counts.",),
    ),
    "a box over the border": (
        Prompts.from_box((-10, 10, 30, 90)),
        Prompts.from_box((-0.5, 10, 30, 49.5)),
        ("The box was cut at the frame's border.",),
    ),
    "a box that counts pixels": (
        Prompts.from_box((0, 0, 40, 50)),
        Prompts.from_box((0, 0, 39.5, 49.5)),
        (),
    ),
    "a box outside": (
        POINT.with_box((50, 10, 60, 20)),
        POINT,
        ("The box has no area inside the frame and was left out.",),
    ),
    "a box without area": (
        POINT.with_box((10, 10, 10, 20)),
        POINT,
        ("The box has no area inside the frame and was left out.",),
    ),
    "an empty mask": (
        POINT.with_mask(np.zeros(FRAME)),
        POINT,
        ("The mask is empty and was left out.",),
    ),
    "a box and a negative point": (
        Prompts.from_box((1, 1, 9, 9)).with_point((2, 2), 0),
        Prompts.from_box((1, 1, 9, 9)).with_point((2, 2), 0),
        (),
    ),
}


@pytest.mark.parametrize("name", FITTED_CASES)
def test_fitted(name):
    given_prompts, expected, notes = FITTED_CASES[name]
    assert given_prompts.fitted(FRAME) == (expected, notes)


@given(PROMPTS)
def test_what_is_fitted_fits(prompts):
    try:
        fitted, _ = prompts.fitted(FRAME)
    except PromptError:
        return
    assert fitted.fitted(FRAME) == (fitted, ())
    assert fitted.box is not None or 1 in fitted.labels
    for y, x in fitted.points:
        assert -0.5 <= y < 39.5
        assert -0.5 <= x < 49.5


UNFIT_CASES = {
    "nothing": (Prompts(), "No prompt is left. Click the object"),
    "only negative": (Prompts.from_points([(1, 2)], [0]), "Only negative points are left"),
    "all outside": (Prompts.from_points([(99, 2)]), "1 point was outside .* No prompt is left"),
    "a mask of another frame": (Prompts.from_mask(np.ones((4, 5))), "4 × 5 .* 40 × 50"),
}


@pytest.mark.parametrize("name", UNFIT_CASES)
def test_nothing_to_decode(name):
    prompts, message = UNFIT_CASES[name]
    with pytest.raises(PromptError, match=message):
        prompts.fitted(FRAME)


WRONG_CASES = {
    "labels missing": (lambda: Prompts.from_points([(1, 2)], []), "0 labels were given for 1"),
    "a label of 2": (lambda: Prompts.from_points([(1, 2)], [2]), "not all 0 or 1"),
    "a point of three": (lambda: Prompts.from_points([(1, 2, 3)]), "2 finite numbers"),
    "a point of NaN": (lambda: POINT.with_point((np.nan, 2)), "2 finite numbers"),
    "a point of words": (lambda: Prompts(points=(("a", "b"),), labels=(1,)), "2 finite numbers"),
    "a box of three": (lambda: Prompts.from_box((1, 2, 3)), "4 finite numbers"),
    "an endless box": (lambda: POINT.with_box((1, 2, 3, np.inf)), "4 finite numbers"),
    "a mask in 3D": (lambda: Prompts.from_mask(np.ones((2, 3, 4))), "shape \\(2, 3, 4\\)"),
    "no such point": (lambda: POINT.without_point(1), "There is no point 1"),
    "no such point from the end": (lambda: POINT.without_point(-1), "There is no point -1"),
    "a polygon of two": (lambda: Prompts.from_polygon([(1, 2), (3, 4)], FRAME), "at least 3"),
    "a polygon in 3D": (lambda: Prompts.from_polygon(np.ones((4, 3)), FRAME), "\\(4, 3\\)"),
    "a gap in a polygon": (lambda: Prompts.from_polygon([(1, 2), (3, np.nan)], FRAME), "finite"),
    "a polygon between pixels": (
        lambda: Prompts.from_polygon([(1.1, 1.1), (1.1, 1.9), (1.9, 1.5)], FRAME),
        "covers no pixel",
    ),
    "a polygon outside": (
        lambda: Prompts.from_polygon([(90, 90), (90, 99), (99, 99)], FRAME),
        "covers no pixel",
    ),
    "a flat ellipse": (lambda: Prompts.from_ellipse([(5, 5)] * 4, FRAME), "covers no pixel"),
    "an ellipse of three": (lambda: Prompts.from_ellipse([(5, 5)] * 3, FRAME), "at least 4"),
    "an empty scribble": (lambda: Prompts.from_scribble(np.zeros((0, 2))), "at least 1"),
    "a scribble without steps": (
        lambda: Prompts.from_scribble([(1, 2), (3, 4)], spacing=0),
        "spacing",
    ),
}


@pytest.mark.parametrize("name", WRONG_CASES)
def test_wrong_prompts_are_explained(name):
    make, message = WRONG_CASES[name]
    with pytest.raises(PromptError, match=message):
        make()


WRONG_SCRIBBLES = {
    "far away": [(0, 0), (1e9, 0)],
    "beyond all numbers": [(-1.7e308, 0), (1.7e308, 0)],
    "with gaps": [(0, 0), (float("nan"), 0)],
    "no points": [("a", "b")],
    "points of different lengths": [(0, 0), (1,)],
}


@pytest.mark.parametrize("name", WRONG_SCRIBBLES)
def test_scribbles_that_are_none(name):
    with pytest.raises(PromptError):
        Prompts.from_scribble(WRONG_SCRIBBLES[name])


@pytest.mark.parametrize("object_id", [0, -1, 1.5, "1", True, None, 2**32])
def test_what_is_no_object_id(object_id):
    with pytest.raises(
        PromptError, match=r"is not an object id\. Give a whole number of 1 or more"
    ):
        checked_object_id(object_id)


@pytest.mark.parametrize("object_id", [1, np.uint8(7), 2**32 - 1])
def test_object_ids(object_id):
    assert checked_object_id(object_id) == object_id


def test_an_id_that_the_type_of_the_labels_does_not_hold():
    assert checked_object_id(255, highest=255) == 255
    with pytest.raises(PromptError, match="of 255 or less"):
        checked_object_id(256, highest=255)


WRONG_TYPES = {
    "points": lambda: Prompts.from_points(3),
    "point": lambda: Prompts().with_point(3),
    "a huge whole number": lambda: Prompts().with_point((10**400, 1)),
    "box": lambda: Prompts.from_box(None),
    "mask": lambda: Prompts.from_mask([[1], [1, 2]]),
    "rectangle": lambda: Prompts.from_rectangle("corner"),
}


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_wrong_types_are_explained(name):
    with pytest.raises(PromptError):
        WRONG_TYPES[name]()
