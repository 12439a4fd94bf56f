"""Many prompts as one value: numbers, scores, what fits an image, what is said of the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam import FrameStack, Prompts
from napari_sam.engine import LeftOut, ObjectPrompts, PromptError, PromptSet, prompts_of_labels

STACK = FrameStack.from_array(np.zeros((3, 20, 30), np.uint8), axes="TYX")
POINT = Prompts.from_points([(3, 4)])


def points(*numbers: int) -> PromptSet:
    return PromptSet.of(ObjectPrompts(POINT, object_id=n, at=(0,)) for n in numbers)


def ids(prompts: PromptSet) -> list[int]:
    return [each.object_id for each in prompts.objects]


def test_what_has_no_number_gets_the_next_that_is_free() -> None:
    assert ids(points(0, 2, 0, 0, 5)) == [1, 2, 3, 4, 5]


def test_of_a_number_twice_in_a_frame_the_second_is_left_out() -> None:
    twice = points(4, 4)
    assert ids(twice) == [4]
    assert "the same number in this frame" in twice.problems[0]
    again = [ObjectPrompts(POINT, object_id=4, at=(n,)) for n in (0, 1)]
    assert ids(PromptSet.of(again)) == [4, 4]


@given(st.lists(st.integers(1, 12), unique=True), st.sets(st.integers(1, 12)))
def test_numbers_that_others_have_are_exchanged_and_no_other(
    mine: list[int], taken: set[int]
) -> None:
    new = ids(points(*mine).beside(taken))
    assert len(set(new)) == len(new)
    assert not set(new) & taken
    for before, after in zip(mine, new, strict=True):
        assert before == after or before in taken


def test_frame_0_of_an_image_without_frames_is_the_image() -> None:
    image = FrameStack.from_array(np.zeros((20, 30), np.uint8))
    found = [ObjectPrompts(POINT, object_id=n, at=at) for n, at in enumerate([(0,), (1,), None], 1)]
    fitted = PromptSet.of(found).fitted(image)
    assert [(each.object_id, each.at) for each in fitted.objects] == [(1, ()), (3, ())]
    assert "it names 1 frame axis, the image has 0" in fitted.problems[0]


def test_a_score_decides_again_without_a_detector() -> None:
    scored = PromptSet.of(
        ObjectPrompts.of_box((1, 1, 5, 5), score=score, class_name="nucleus")
        for score in (0.2, None, 0.7)
    )
    assert ids(scored.at_least(0.5)) == [2, 3]
    assert ids(scored.at_least(0.1)) == [1, 2, 3]
    assert scored.classes == {1: "nucleus", 2: "nucleus", 3: "nucleus"}


FITS = {
    "inside": (POINT, True),
    "on the outermost edge": (Prompts.from_points([(-0.5, 29.4)]), True),
    "outside": (Prompts.from_points([(3, 30)]), False),
    "one of two points": (Prompts.from_points([(3, 4), (99, 4)]), True),
    "a box across the border": (Prompts.from_box((-5, -5, 4, 4)), True),
    "a box beside the image": (Prompts.from_box((3, 31, 9, 40)), False),
    "a negative point alone": (Prompts.from_points([(3, 4)], [0]), False),
}


@pytest.mark.parametrize("name", FITS)
def test_what_fits(name: str) -> None:
    prompts, fits = FITS[name]
    fitted = PromptSet.of([ObjectPrompts(prompts, where="here")]).fitted(STACK)
    assert len(fitted) == fits
    assert bool(fitted.left_out) != fits
    assert all(each.where == "here" for each in fitted.left_out)


@pytest.mark.parametrize("at", [(3,), (-1,), (0, 0)])
def test_frames_that_do_not_exist(at: tuple[int, ...]) -> None:
    fitted = PromptSet.of([ObjectPrompts(POINT, at=at, where="line 2")]).fitted(STACK)
    assert not fitted
    assert "1 left out, line 2: " in fitted.problems[0]


@given(st.integers(-12, 25), st.integers(-12, 35))
def test_a_mask_is_cut_at_the_border(top: int, left: int) -> None:
    mask = np.ones((9, 7), bool)
    whole = np.zeros((60, 80), bool)
    whole[top + 20 : top + 29, left + 20 : left + 27] = True
    inside = whole[20:40, 20:50]
    (each,) = PromptSet.of([ObjectPrompts(mask=mask, corner=(top, left))]).objects
    if not inside.any():
        with pytest.raises(PromptError, match="outside"):
            each.fitted((20, 30))
        return
    np.testing.assert_array_equal(each.fitted((20, 30)).in_frame((20, 30)).mask, inside)


def test_an_object_as_its_mask_its_box_and_its_point() -> None:
    mask = np.zeros((20, 30), bool)
    mask[4:9, 10:17] = True
    each = ObjectPrompts.of(Prompts.from_mask(mask), object_id=3)
    assert each.in_frame((20, 30)) == Prompts(box=(3.5, 9.5, 8.5, 16.5), mask=mask)
    assert each.shown_as("box").prompts == Prompts.from_box((3.5, 9.5, 8.5, 16.5))
    ((y, x),) = each.shown_as("point").prompts.points
    assert mask[int(y), int(x)]
    with pytest.raises(PromptError, match="no pixel"):
        ObjectPrompts.of_mask(np.zeros((3, 3), bool))


def test_most_reasons_are_named_and_the_rest_is_counted() -> None:
    same = [LeftOut(f"line {n}", "y is missing.") for n in range(9)]
    various = [LeftOut("row", f"reason {n}") for n in range(40)]
    said = PromptSet.of([*same, *various], "a.csv").problems
    assert said[0] == (
        "a.csv: 9 left out, line 0, line 1, line 2, line 3, line 4 and 4 more: y is missing."
    )
    assert said[-1] == "a.csv: 21 more are left out for other reasons."


def test_labels_of_a_stack_and_of_one_frame() -> None:
    labels = np.zeros((3, 20, 30), np.uint16)
    labels[0, 2:6, 3:9] = labels[2, 2:6, 3:9] = 7
    labels[2, 10:14, 3:9] = 60_000
    read = prompts_of_labels(labels, STACK)
    assert [(e.object_id, e.at) for e in read.objects] == [(7, (0,)), (7, (2,)), (60_000, (2,))]
    assert read.summary == "2 objects in 2 frames: 3 masks"
    assert prompts_of_labels(labels[2], STACK, "box").summary == "2 objects: 2 boxes"
    with pytest.raises(PromptError, match="do not fit an image of shape"):
        prompts_of_labels(labels[:2], STACK)
