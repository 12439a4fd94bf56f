"""Many prompts in one image: how they are grouped, ordered, explained and landed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from large_frames import Nuclei, nuclei
from napari_sam import FrameStack, Predictor, PromptError, Prompts, load_model
from napari_sam.engine import EmbeddingCache, ObjectPrompts, PromptSet
from napari_sam.headless.image import (
    as_row,
    blank_notices,
    describe,
    group,
    new_session,
    segment,
    segment_prompts,
)
from napari_sam.session import load, save

COIN, OTHER_COIN = (54, 45), (51, 156)
COIN_BOX = (34, 22, 74, 67)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(load_model("pocket", device="cpu"))


@pytest.fixture(scope="module")
def stack() -> FrameStack:
    """Three frames of coins, the second one black."""
    coins = data.coins()
    return FrameStack.from_array(np.stack([coins, np.zeros_like(coins), coins]))


@dataclass(frozen=True)
class GroupCase:
    """Points and boxes, and the objects they are."""

    name: str
    points: tuple[tuple[float, ...], ...]
    boxes: tuple[tuple[float, ...], ...]
    objects: tuple[str, ...]
    each: bool = False


GROUP_CASES = (
    GroupCase("nothing", (), (), ()),
    GroupCase("nothing, each", (), (), (), each=True),
    GroupCase("one point", ((3, 4),), (), ("point (3, 4)",)),
    GroupCase(
        "points are one object",
        ((3, 4), (5, 6, 0), (7, 8, 1)),
        (),
        ("2 points (3, 4) (7, 8) + negative point (5, 6)",),
    ),
    GroupCase(
        "points join the only box, wherever they are",
        ((30, 40, 0),),
        ((0, 0, 9, 9),),
        ("box (0, 0, 9, 9) + negative point (30, 40)",),
    ),
    GroupCase(
        "each of several boxes is an object",
        (),
        ((0, 0, 9, 9), (10, 10, 20, 20)),
        ("box (0, 0, 9, 9)", "box (10, 10, 20, 20)"),
    ),
    GroupCase(
        "a point joins the smallest box around it",
        ((5, 5), (15, 15, 0)),
        ((0, 0, 20, 20), (4, 4, 6, 6)),
        ("box (0, 0, 20, 20) + negative point (15, 15)", "box (4, 4, 6, 6) + point (5, 5)"),
    ),
    GroupCase(
        "each prompt an object",
        ((5, 5), (6, 6)),
        ((0, 0, 20, 20),),
        ("box (0, 0, 20, 20)", "point (5, 5)", "point (6, 6)"),
        each=True,
    ),
)


@pytest.mark.parametrize("case", GROUP_CASES, ids=lambda c: c.name)
def test_group(case: GroupCase) -> None:
    objects = group(case.points, case.boxes, each=case.each)
    assert tuple(map(describe, objects)) == case.objects


def test_a_point_beside_several_boxes_is_refused() -> None:
    with pytest.raises(PromptError, match="none of the 2 boxes"):
        group([(50, 50)], [(0, 0, 9, 9), (10, 10, 20, 20)])


@pytest.mark.parametrize("label", [2, -1, 0.5])
def test_a_label_that_says_nothing_is_refused(label: float) -> None:
    with pytest.raises(PromptError, match=r"label .* of the point 3,4"):
        group([(3, 4, label)], [])


def test_a_mask_is_described() -> None:
    assert describe(Prompts.from_mask(np.ones((3, 3), bool))) == "mask"


@pytest.mark.parametrize(("highest", "dtype"), [(65535, np.uint16), (65536, np.uint32)])
def test_labels_hold_the_highest_id(stack: FrameStack, highest: int, dtype: type) -> None:
    assert new_session(stack, highest).labels.dtype == dtype


def test_objects_land_where_they_were_prompted(predictor: Predictor, stack: FrameStack) -> None:
    session = new_session(stack)
    prompts = {
        (7, stack.index(2)): Prompts.from_points([OTHER_COIN]),
        (3, stack.index(0)): Prompts.from_box(COIN_BOX),
        (7, stack.index(0)): Prompts.from_points([OTHER_COIN]),
    }
    results = list(segment(session, prompts, predictor))
    order = [(r.object_id, r.frame) for r in results]
    assert order == [(3, stack.index(0)), (7, stack.index(0)), (7, stack.index(2))]
    assert session.labels[0][COIN] == 3
    assert session.labels[2][OTHER_COIN] == 7
    assert not session.labels[1].any()
    for result in results:
        landed = session.labels[result.frame[0]] == result.object_id
        rows, columns = np.nonzero(landed)
        assert result.area == landed.sum()
        assert result.box == (
            rows.min() - 0.5,
            columns.min() - 0.5,
            rows.max() + 0.5,
            columns.max() + 0.5,
        )


@pytest.mark.slow
def test_the_lower_id_keeps_the_pixels(predictor: Predictor, stack: FrameStack) -> None:
    frame = stack.index(0)
    alone, both = new_session(stack), new_session(stack)
    first = {(1, frame): Prompts.from_box(COIN_BOX)}
    list(segment(alone, first, predictor))
    wider = Prompts.from_box((30, 18, 80, 72))
    list(segment(both, {(2, frame): wider, **first}, predictor))
    np.testing.assert_array_equal(both.labels == 1, alone.labels == 1)


def test_a_bad_prompt_is_named_before_anything_is_encoded(
    predictor: Predictor, stack: FrameStack
) -> None:
    session = new_session(stack)
    prompts = {
        (1, stack.index(0)): Prompts.from_points([COIN]),
        (2, stack.index(0)): Prompts.from_points([(999, 999)]),
    }
    with pytest.raises(PromptError, match="Object 2: 1 point was outside"):
        next(segment(session, prompts, predictor))
    assert not session.labels.any()


def test_frames_without_contrast_are_named_once(stack: FrameStack) -> None:
    first, black = stack.index(0), stack.index(1)
    (notice,) = blank_notices(stack, [first, black, first, black])
    assert "frame 1:" in notice
    (notice,) = blank_notices(
        FrameStack.from_array(np.full((9, 9, 3), (1, 2, 3), np.uint8)), [2 * (None,)]
    )
    assert "this image:" in notice


def test_what_was_left_out_is_noted(predictor: Predictor, stack: FrameStack) -> None:
    prompts = {(1, stack.index(0)): Prompts.from_points([COIN, (999, 999)])}
    (result,) = segment(new_session(stack), prompts, predictor)
    assert any("outside" in note for note in result.notes)
    assert as_row(result)["prompts"] == "point (54, 45)"
    assert as_row(result)["frame"] == [0]


def from_anywhere(stack: FrameStack) -> PromptSet:
    """A point, a box and a mask, in two frames, and one that is nowhere."""
    mask = np.zeros(stack.frame_shape, bool)
    mask[34:74, 22:67] = True
    return PromptSet.of(
        [
            ObjectPrompts(Prompts.from_points([COIN]), at=(0,), class_name="small coin"),
            ObjectPrompts.of_box(COIN_BOX, at=(2,), object_id=9, class_name="large coin"),
            ObjectPrompts(Prompts.from_points([OTHER_COIN]), at=(0,)),
            ObjectPrompts.of_box(COIN_BOX, at=(7,), where="line 5"),
            ObjectPrompts.of_mask(mask, at=(0,), object_id=4),  # the first coin again
        ]
    )


def test_prompts_from_anywhere_are_one_step_of_undo(
    predictor: Predictor, stack: FrameStack
) -> None:
    session = new_session(stack)
    heard: list[tuple[int, int]] = []
    prompts = from_anywhere(stack)
    results = list(
        segment_prompts(session, prompts, predictor, progress=lambda *done: heard.append(done))
    )
    assert [(r.object_id, r.frame[0]) for r in results] == [(1, 0), (2, 0), (4, 0), (9, 2)]
    assert session.labels[0][COIN] == 1
    assert session.labels[0][OTHER_COIN] == 2
    assert session.labels[2][COIN] == 9
    assert results[2].area == 0, "it is object 1 already"
    assert {i: given.name for i, given in session.classes.given.items()} == {
        1: "small coin",
        9: "large coin",
    }
    assert (heard[0], heard[-1]) == ((0, 4), (4, 4))
    assert session.last_step == "prompt of objects 1, 2 and 9 over 2 frames"
    session.undo()
    assert not session.labels.any()
    assert not session.classes.given


@pytest.mark.slow
def test_prompts_from_anywhere_give_the_masks_of_each_alone(
    predictor: Predictor, stack: FrameStack
) -> None:
    session = new_session(stack)
    list(segment_prompts(session, from_anywhere(stack), predictor))
    alone = new_session(stack)
    frame = stack.index(0)
    list(segment(alone, {(1, frame): Prompts.from_points([COIN])}, predictor))
    np.testing.assert_array_equal(session.labels[0] == 1, alone.labels[0] == 1)
    assert session.drawings(1, frame) == alone.drawings(1, frame)


def test_what_is_annotated_keeps_its_pixels(predictor: Predictor, stack: FrameStack) -> None:
    session = new_session(stack)
    session.labels[0, 40:60, 30:60] = 50
    before = session.labels == 50
    list(segment_prompts(session, from_anywhere(stack), predictor))
    assert session.labels[before].min() == session.labels[before].max() == 50


def test_stopped_between_two_objects_what_landed_stays(
    predictor: Predictor, stack: FrameStack
) -> None:
    session = new_session(stack)
    steps = segment_prompts(session, from_anywhere(stack), predictor)
    assert next(steps).object_id == 1
    steps.close()
    assert set(np.unique(session.labels)) == {0, 1}
    assert list(session.classes.given) == [1]
    session.undo()
    assert not session.labels.any()


@pytest.fixture(scope="module")
def large() -> Nuclei:
    """10,000 × 10,000 pixels full of nuclei."""
    return nuclei(10_000)


@pytest.mark.slow
@pytest.mark.parametrize("cell_size", [None, 30.0])
def test_a_point_in_a_large_frame_finds_the_nucleus_under_it(
    predictor: Predictor, large: Nuclei, cell_size: float | None
) -> None:
    stack = FrameStack.from_array(large.image)
    session = new_session(stack)
    places = {1: (9, 13, 11), 2: (20, 0, 19)}
    prompts = {
        (n, stack.index()): Prompts.from_points([large.centre(*at)]) for n, at in places.items()
    }
    for result in segment(session, prompts, predictor, cell_size=cell_size):
        at = places[result.object_id]
        assert large.iou(session.labels, result.object_id, *at) > 0.9
        crop = session.annotation(result.object_id, stack.index()).crop
        assert crop is not None
        assert crop.long_side == (1024 if cell_size is None else 512)


@pytest.mark.slow
def test_an_object_that_reaches_out_of_its_part_of_a_large_frame_widens_it(
    predictor: Predictor,
) -> None:
    ys, xs = np.ogrid[:5000, :5000]
    disc = (ys - 1500) ** 2 + (xs - 1400) ** 2 < 600**2
    noise = np.random.default_rng(0).integers(0, 28, disc.shape, np.uint8)
    stack = FrameStack.from_array(noise + np.where(disc, np.uint8(186), np.uint8(16)))
    session = new_session(stack)
    list(segment(session, {(1, stack.index()): Prompts.from_points([(1800, 1400)])}, predictor))
    crop = session.annotation(1, stack.index()).crop
    assert crop is not None
    assert crop.long_side == 5000
    mine = session.labels == 1
    assert (mine & disc).sum() > 0.9 * (mine | disc).sum()


@pytest.mark.slow
def test_frames_up_to_the_input_are_looked_at_as_a_whole(predictor: Predictor) -> None:
    pixels = nuclei(1024).image[:700]
    stack = FrameStack.from_array(pixels)
    session = new_session(stack)
    prompts = Prompts.from_points([(300, 500)])
    list(segment(session, {(1, stack.index()): prompts}, predictor))
    embedding = predictor.encode(stack.frame(stack.index()), frame_shape=(700, 1024))
    expected = predictor.refine(embedding, prompts).mask()
    np.testing.assert_array_equal(session.labels == 1, expected)
    assert session.annotation(1, stack.index()).crop is None


@pytest.mark.slow
def test_a_saved_session_of_a_large_frame_continues_with_the_same_pixels(
    predictor: Predictor, tmp_path: Path
) -> None:
    large = nuclei(3000)
    stack = FrameStack.from_array(large.image)
    session, cache, frame = new_session(stack), EmbeddingCache(), stack.index()
    first = Prompts.from_points([large.centre(9, 3, 2)])
    list(segment(session, {(1, frame): first}, predictor, cache=cache))
    save(session, tmp_path / "large.napari-sam")
    again = load(tmp_path / "large.napari-sam", stack)
    assert again.annotation(1, frame) == session.annotation(1, frame)
    assert again.annotation(1, frame).crop is not None

    y, x = large.centre(9, 3, 2)
    for each in (session, again):
        each.annotate(1, frame, first.with_point((y + 40, x), label=0), predictor, cache)
    np.testing.assert_array_equal(again.labels, session.labels)
    assert len(cache) == 1, "the correction stays in the part that was looked at"
    before, request = again.labels.copy(), again.edit(1, frame, first)
    assert request is not None
    save(again, tmp_path / "large.napari-sam")
    waiting = load(tmp_path / "large.napari-sam", stack).pending()
    assert [each.crops for each in waiting] == [request.crops]
    again.undo()
    again.redo()
    np.testing.assert_array_equal(again.labels, before)
