"""Requests, answers, objects and undo. Answers are made by hand: no network runs here."""

from __future__ import annotations

import numpy as np
import pytest

from annotating import answer, square
from napari_sam.engine import FrameStack, Prompts, SamError
from napari_sam.session import Drawing, Session

FRAME, OTHER_FRAME = (0, None, None), (2, None, None)
CLICK = Prompts.from_points([(2, 2)])
TWO_CLICKS = CLICK.with_point((4, 4))
PICTURE = np.zeros((8, 9, 3), np.uint8)
FULL = np.ones((8, 9), bool)


def new_session(**options) -> Session:
    stack = FrameStack.from_array(np.zeros((3, 8, 9), np.uint8), rgb=False)
    return Session(stack, np.zeros((3, 8, 9), np.uint16), **options)


def land(session: Session, object_id: int, frame, prompts: Prompts, mask: np.ndarray) -> None:
    request = session.edit(object_id, frame, prompts)
    assert request is not None
    session.land(answer(request, mask))


def test_a_click_lands_under_its_id() -> None:
    session = new_session()
    land(session, 1, FRAME, CLICK, square(1, 1))
    np.testing.assert_array_equal(session.labels[0] == 1, square(1, 1))
    annotation = session.annotation(1, FRAME)
    assert (annotation.iou_prediction, annotation.model) == (0.9, "pocket")
    assert [(o.object_id, o.frames, o.n_prompts) for o in session.objects()] == [(1, (FRAME,), 1)]


def test_a_late_answer_is_dropped() -> None:
    session = new_session()
    early = session.edit(1, FRAME, CLICK)
    late = session.edit(1, FRAME, TWO_CLICKS)
    assert session.land(answer(early, FULL)) is None
    assert not session.labels.any()
    session.land(answer(late, square(0, 0)))
    assert session.land(answer(late, FULL)) is None, "an answer lands once"
    assert session.labels.sum() == 4


def test_nothing_new_asks_for_nothing() -> None:
    session = new_session()
    wanted = []
    session.requested.connect(wanted.append)
    session.edit(1, FRAME, CLICK)
    assert session.edit(1, FRAME, CLICK) is None
    assert len(wanted) == 1


def test_taking_the_last_prompt_away_takes_the_mask_away() -> None:
    session = new_session()
    land(session, 1, FRAME, CLICK, square(1, 1))
    assert session.edit(1, FRAME, Prompts()) is None
    assert not session.labels.any()
    assert session.objects() == []
    session.undo()
    assert session.labels.sum() == 4
    assert session.prompts(1, FRAME) == CLICK


def test_only_negative_points_show_no_mask_and_say_why() -> None:
    session = new_session()
    said = []
    session.explained.connect(said.append)
    land(session, 1, FRAME, CLICK, square(1, 1))
    assert session.draw(1, FRAME, (Drawing("point", ((2.0, 2.0),), 0),)) is None
    assert not session.labels.any()
    assert len(session.drawings(1, FRAME)) == 1, "the point stays where it was put"
    assert any("negative" in sentence for sentence in said)


def test_strokes_by_hand_survive_later_clicks() -> None:
    session = new_session()
    land(session, 1, FRAME, CLICK, square(1, 1))
    session.labels[0, 7, 7] = 1  # painted
    session.labels[0, 1, 1] = 0  # erased
    land(session, 1, FRAME, TWO_CLICKS, square(1, 1, side=3))
    assert session.labels[0, 7, 7] == 1
    assert session.labels[0, 1, 1] == 0
    assert session.labels[0, 3, 3] == 1


def test_the_choice_of_a_candidate_holds_through_later_clicks() -> None:
    session = new_session()
    land(session, 1, FRAME, CLICK, square(1, 1))
    assert session.choose(1, FRAME, 3).candidate == 3
    assert session.edit(1, FRAME, TWO_CLICKS).candidate == 3
    assert session.choose(1, FRAME, None).candidate is None


def test_new_ids_are_one_more_than_the_highest_of_the_stack() -> None:
    stack = FrameStack.from_array(np.zeros((3, 8, 9), np.uint8), rgb=False)
    labels = np.zeros((3, 8, 9), np.uint16)
    labels[2, 5, 5] = 41
    session = Session(stack, labels)
    assert session.active == 42
    land(session, 42, FRAME, CLICK, square(0, 0))
    assert session.new_object() == 43
    session.note_ids(60)
    assert session.new_object() == 61
    assert session.new_object() == 61, "an object without a prompt leaves no gap"


def test_undo_and_redo_go_through_every_step() -> None:
    session = new_session()
    states = [session.labels.copy()]
    for n, (frame, prompts) in enumerate(
        [(FRAME, CLICK), (OTHER_FRAME, CLICK), (FRAME, TWO_CLICKS)]
    ):
        land(session, 1, frame, prompts, square(n, n))
        states.append(session.labels.copy())
    for state in states[-2::-1]:
        assert session.undo()
        np.testing.assert_array_equal(session.labels, state)
    assert not session.undo()
    assert session.objects() == []
    for state in states[1:]:
        assert session.redo()
        np.testing.assert_array_equal(session.labels, state)
    assert not session.redo()
    assert session.prompts(1, FRAME) == TWO_CLICKS


def test_a_request_given_up_leaves_what_stood() -> None:
    session = new_session()
    land(session, 1, FRAME, CLICK, square(1, 1))
    session.fail(session.edit(1, FRAME, TWO_CLICKS))
    assert session.prompts(1, FRAME) == CLICK
    assert session.labels.sum() == 4


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((8, 9), np.uint16), r"shape \(8, 9\), the image \(3, 8, 9\)"),
        (np.zeros((3, 8, 9), np.float32), "integers, not float32"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message) -> None:
    stack = FrameStack.from_array(np.zeros((3, 8, 9), np.uint8), rgb=False)
    with pytest.raises(SamError, match=message):
        Session(stack, labels)
