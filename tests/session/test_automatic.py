"""Objects that were found land at once, with new ids, beside what is annotated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotating import CLICK, SHAPE, answer, frame, land, new_session, paint, square, state
from napari_sam.engine import AutomaticOptions, FoundObject, FrameStack, SamError, decide
from napari_sam.session import (
    Landing,
    Session,
    free_regions,
    land_claims,
    load,
    save,
    unconfirmed_in,
)

HERE = frame(1)


def found(mask: np.ndarray, score: float = 0.9) -> FoundObject:
    """A proposal that stands."""
    y, x = map(float, np.argwhere(mask)[0])
    return FoundObject.unseen((y, x), "seeds", score=score, stability=0.8).with_mask(mask)


def land_all(
    session: Session, *objects: FoundObject, replaces: bool = False, at_once: int = 200
) -> int:
    """Land objects in the second frame; how many did."""
    session.models["pocket"] = ("sha256:0", "fp32")
    claims = free_regions(objects)
    landing = Landing(HERE, "pocket", session.new_run(), replaces)
    return sum(land_claims(session, claims, landing, at_once))


@pytest.mark.parametrize("at_once", [1, 2, 200])
def test_all_are_one_step_of_undo(at_once: int) -> None:
    session = new_session()
    before = state(session)
    assert land_all(session, *(found(square(0, 3 * n)) for n in range(3)), at_once=at_once) == 3
    assert session.labels[1, 0].tolist() == [1, 1, 0, 2, 2, 0, 3, 3, 0]
    assert session.active == 4, "the next click begins an object of its own"
    assert session.last_step == "automatic segmentation of objects 1, 2 and 3"
    after = state(session)
    assert session.undo()
    assert state(session) == before
    assert session.redo()
    assert state(session) == after


def test_what_is_kept_of_each(tmp_path) -> None:
    session = new_session()
    land_all(session, found(square(0, 0), 0.75))
    annotation = session.annotation(1, HERE)
    assert (annotation.score, annotation.iou_prediction, annotation.stability) == (0.75, 0.75, 0.8)
    assert (annotation.model, annotation.model_hash) == ("pocket", "sha256:0")
    assert annotation.found_by == "seeds"
    assert session.weakest() == [(1, HERE, 0.75)]
    assert not session.anchors(1), "nobody has confirmed it"
    save(session, tmp_path / "a.napari-sam")
    again = load(tmp_path / "a.napari-sam", session.stack)
    assert state(again) == state(session)
    assert again.confirm(1, HERE)
    assert again.anchors(1) == {HERE}
    assert again.annotation(1, HERE).found_by == ""


def test_a_click_corrects_it_as_it_stands() -> None:
    session = new_session()
    land_all(session, found(square(0, 0)))
    request = session.edit(1, HERE, CLICK)
    assert request is not None
    np.testing.assert_array_equal(request.prompts.mask, square(0, 0))
    session.land(answer(request, square(0, 0, 3)))
    assert (session.labels[1] == 1).sum() == 9
    assert session.annotation(1, HERE).found_by == ""
    session.edit(1, HERE, CLICK.__class__())
    np.testing.assert_array_equal(session.labels[1] == 1, square(0, 0)), "without its click"


def test_a_stroke_makes_it_the_users() -> None:
    session = new_session()
    land_all(session, found(square(0, 0)))
    paint(session, 1, square(2, 0), 1)
    assert session.anchors(1) == {HERE}
    assert not unconfirmed_in(session, HERE)


def test_what_is_annotated_stays() -> None:
    session = new_session()
    land(session, 5, 1, CLICK, square(0, 0, 3))
    half, corner = found(square(0, 2, 4)), found(square(0, 0, 2))
    assert land_all(session, half, corner) == 1, "of the other one nothing would be left"
    assert (session.labels[1] == 5).sum() == 9
    assert (session.labels[1] == 6).sum() == 16 - 3
    np.testing.assert_array_equal(
        session.labels[1] == 6, session.annotation(6, HERE).footprint.landed.within((0, 0, 8, 9))
    )


def test_the_better_one_has_the_pixels_of_both() -> None:
    session = new_session()
    land_all(session, found(square(0, 0, 3), 0.5), found(square(2, 2, 3), 0.9))
    assert session.labels[1, 2, 2] == 2
    assert (session.labels[1] == 1).sum() == 8


def test_unconfirmed_ones_make_way_where_that_is_chosen() -> None:
    session = new_session()
    land_all(session, found(square(0, 0)), found(square(0, 4)), found(square(4, 4)))
    session.confirm(2, HERE)
    larger = [found(square(0, 0, 3)), found(square(0, 4))]
    before = state(session)
    assert land_all(session, *larger, replaces=True) == 1
    assert {1}.isdisjoint(session.ids_in(HERE))
    assert (session.labels[1] == 2).sum() == 4, "it was confirmed"
    assert (session.labels[1] == 3).sum() == 4, "nothing lies over it"
    assert (session.labels[1] == 4).sum() == 9
    session.undo()
    assert state(session) == before


def test_labels_too_small_for_so_many_are_left_alone() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    session = new_session(labels, highest_id=253)
    with pytest.raises(SamError, match=r"256"):
        land_all(session, *(found(square(0, 3 * n)) for n in range(3)))
    assert not labels.any()
    assert not session.undo()
    assert land_all(session, found(square(0, 0))) == 1


def test_nothing_more_lands_once_it_is_undone() -> None:
    session = new_session()
    claims = free_regions([found(square(0, 3 * n)) for n in range(3)])
    steps = land_claims(session, claims, Landing(HERE, "pocket", session.new_run()), at_once=1)
    assert next(steps) == 1
    session.undo()
    assert list(steps) == []
    assert not session.labels.any()


def test_nothing_makes_way_once_it_is_undone() -> None:
    session = new_session()
    land_all(session, found(square(0, 0)))
    run = session.new_run()
    elsewhere = free_regions([found(square(0, 0))])
    list(land_claims(session, elsewhere, Landing(frame(0), "pocket", run)))
    session.undo()
    before = state(session)
    claims = free_regions([found(square(0, 0, 3))])
    assert list(land_claims(session, claims, Landing(HERE, "pocket", run, replaces=True))) == []
    assert state(session) == before


def test_a_click_meanwhile_is_a_step_of_its_own() -> None:
    session = new_session()
    claims = free_regions([found(square(0, 3 * n)) for n in range(3)])
    steps = land_claims(session, claims, Landing(HERE, "pocket", session.new_run()), at_once=1)
    next(steps)
    land(session, session.new_object(), 1, CLICK, square(5, 5))
    assert sum(steps) == 2
    assert session.labels[1, 5, 5] == 4
    session.undo()
    assert session.ids_in(HERE) == (1, 2, 3)
    session.undo()
    assert not session.labels.any()


squares = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 7), st.integers(1, 4), st.floats(0.1, 1.0)),
    max_size=8,
)


@given(first=squares, second=squares, replaces=st.booleans(), at_once=st.integers(1, 4))
def test_labels_and_annotations_agree(first, second, replaces: bool, at_once: int) -> None:
    session = Session(FrameStack.from_array(np.zeros(SHAPE, np.uint8)), np.zeros(SHAPE, np.uint16))
    land(session, 1, 1, CLICK, square(3, 3, 3))
    states = [state(session)]
    for each in (first, second):
        proposals = [found(square(y, x, side), score) for y, x, side, score in each]
        annotated = np.zeros_like(session.labels[1]) if replaces else session.labels[1]
        options = AutomaticOptions(min_score=0.0, min_stability=0.0)
        standing = decide(proposals, options, SHAPE[1:], annotated)
        land_all(session, *standing, replaces=replaces, at_once=at_once)
        assert (session.labels[1] == 1).sum() == 9
        for object_id in session.ids_in(HERE):
            landed = session.annotation(object_id, HERE).footprint.landed
            window = (0, 0, *SHAPE[1:])
            np.testing.assert_array_equal(landed.within(window), session.labels[1] == object_id)
        if state(session) != states[-1]:
            states.append(state(session))
    for expected in reversed(states[:-1]):
        session.undo()
        assert state(session) == expected
