"""Labels of other tools, strokes of the brush, propagated masks: all can be corrected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from annotating import CLICK, SHAPE, answer, frame, land, new_session, paint, square, state
from napari_sam.engine import FrameStack, Prompts
from napari_sam.session import Drawing, Propagated, Region, Session, objects

NOT_THIS = Prompts.from_points([(3, 3)], [0])


def found_session() -> Session:
    """Object 5 of another tool in every frame."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[:, 1:5, 1:5] = 5
    return new_session(labels)


def propagated(object_id: int, t: int, mask: np.ndarray, score: float = 0.5, **more) -> Propagated:
    region = Region.from_mask(mask)
    return Propagated(object_id, frame(t), region, 0.7, 0.6, score, "pocket", frame(0), **more)


# Objects found in the labels


def test_the_first_click_corrects_what_was_found() -> None:
    session = found_session()
    start = state(session)
    request = session.edit(5, frame(1), Prompts.from_points([(7, 6)]))
    np.testing.assert_array_equal(request.prompts.mask, session.labels[1] == 5)
    assert request.prompts.box == (0.5, 0.5, 7.0, 6.0), "the box holds the new click as well"
    session.land(answer(request, square(2, 2, side=5)))
    np.testing.assert_array_equal(session.labels[1] == 5, square(2, 2, side=5))
    assert session.undo()
    assert state(session) == start


def test_a_negative_click_alone_takes_away_from_what_was_found() -> None:
    session = found_session()
    request = session.draw(5, frame(0), (Drawing("point", ((4.0, 4.0),), 0),))
    assert request is not None
    session.land(answer(request, square(1, 1)))
    assert (session.labels[0] == 5).sum() == 4


def test_later_clicks_start_from_what_was_found_too() -> None:
    session = found_session()
    land(session, 5, 0, CLICK, square(2, 2))
    request = session.edit(5, frame(0), CLICK.with_point((3, 3)))
    assert request.prompts.mask.sum() == 16
    assert session.choose(5, frame(0), 2).base == request.base


def test_without_its_clicks_it_is_again_what_was_found() -> None:
    session = found_session()
    before = session.labels.copy()
    session.draw(5, frame(0), (Drawing("point", ((2.0, 2.0),)),))
    session.land(answer(session.pending()[0], square(5, 5)))
    assert session.draw(5, frame(0), ()) is None
    np.testing.assert_array_equal(session.labels, before)


def test_a_mask_of_its_own_counts_for_more() -> None:
    session = found_session()
    given = Prompts.from_mask(square(0, 0))
    assert session.edit(5, frame(0), given).prompts == given


def test_what_is_found_and_where() -> None:
    session = found_session()
    session.labels[2, 7, 7] = 9
    assert session.ids_in(frame(0)) == (5,)
    assert session.ids_in(frame(2)) == (5, 9)
    assert session.region(9, frame(2)) == Region(7, 7, np.ones((1, 1), bool))
    assert not session.region(9, frame(0))
    assert session.frames_of(9) == [frame(2)]
    assert session.anchors(5) == set()


# Strokes by hand


class Read:
    """Labels, and how often they were read."""

    def __init__(self) -> None:
        self.pixels = np.zeros(SHAPE, np.uint16)
        self.shape, self.dtype, self.ndim = self.pixels.shape, self.pixels.dtype, 3
        self.n = 0

    def __getitem__(self, where: object) -> np.ndarray:
        self.n += 1
        return self.pixels[where]

    def __setitem__(self, where: object, values: object) -> None:
        self.pixels[where] = values


def test_a_new_object_is_not_looked_for_where_all_ids_are_known() -> None:
    labels = Read()
    session = new_session(labels, write=labels.__setitem__, highest_id=0)
    labels.pixels[1, 2, 2] = 5  # by a script, and nobody was told
    assert session.region(5, frame(1)).area == 1
    session.knows_ids = lambda its: its == frame(0)
    assert session.region(5, frame(1)).area == 1, "of this frame they are not known"
    labels.n = 0
    assert not session.region(5, frame(0))
    assert labels.n == 0
    session.note_ids(5)
    session.region(5, frame(0))
    assert labels.n == 1


def test_the_id_of_a_stroke_is_known_also_when_it_is_undone() -> None:
    session = new_session(highest_id=0)
    session.knows_ids = lambda its: True
    paint(session, 1, square(2, 2), 7)
    assert session.region(7, frame(1)).area == 4
    assert session.annotation(7, frame(1)).footprint.painted.area == 4
    session.undo()
    assert session.next_id() == 8


def test_a_stroke_is_one_step_and_stays_through_clicks() -> None:
    session = new_session()
    paint(session, 0, square(0, 0), 3)
    assert session.anchors(3) == {frame(0)}
    land(session, 3, 0, CLICK, square(4, 4))
    np.testing.assert_array_equal(session.labels[0] == 3, square(0, 0) | square(4, 4))
    session.undo()
    np.testing.assert_array_equal(session.labels[0] == 3, square(0, 0))
    session.undo()
    assert not session.labels.any()
    assert session.objects() == []


def test_what_was_erased_of_a_found_object_stays_erased() -> None:
    session = found_session()
    paint(session, 0, square(1, 1), 0)
    assert session.anchors(5) == {frame(0)}
    land(session, 5, 0, CLICK, square(1, 1, side=4))
    assert (session.labels[0] == 5).sum() == 12


def test_a_stroke_over_itself_is_undone_to_what_was_there_first() -> None:
    session = found_session()
    before = session.labels.copy()
    twice = (np.zeros(2, int), np.array([2, 2]), np.array([2, 3]))
    again = (np.zeros(2, int), np.array([2, 2]), np.array([3, 4]))
    session.labels[0, 2, 2:5] = [1, 2, 2]
    session.note_stroke([(twice, np.array([5, 5]), 1), (again, np.array([1, 5]), 2)])
    session.undo()
    np.testing.assert_array_equal(session.labels, before)
    session.redo()
    np.testing.assert_array_equal(session.labels[0, 2, 2:5], [1, 2, 2])


def test_a_stroke_through_many_frames_is_one_step() -> None:
    session = new_session()
    places = np.nonzero(np.ones(SHAPE, bool))
    session.labels[...] = 4
    session.note_stroke([(places, 0, 4)])
    assert len(session.anchors(4)) == SHAPE[0]
    session.undo()
    assert not session.labels.any()


def test_a_stroke_in_a_view_from_the_side_belongs_to_that_view() -> None:
    session = new_session()
    places = (np.arange(4), np.full(4, 3), np.full(4, 5))
    session.labels[places] = 4
    session.note_stroke([(places, 0, 4)], displayed=(0, 2))
    assert session.anchors(4) == {(None, 3, None)}
    session.undo()
    assert not session.labels.any()


# Propagated from frame to frame


def test_a_run_lands_and_is_undone_at_once() -> None:
    session = new_session()
    land(session, 1, 0, CLICK, square(1, 1))
    before = state(session)
    run = session.new_run()
    for t in (1, 2, 3):
        assert session.land_propagated(propagated(1, t, square(t, t)), run)
    assert session.annotation(1, frame(2)).source == frame(0)
    assert session.annotation(1, frame(2)).model_hash == "sha256:0"
    assert session.objects()[0].frames == tuple(map(frame, range(4)))
    after = state(session)
    session.undo()
    assert state(session) == before
    session.redo()
    assert state(session) == after


def test_what_comes_late_of_a_run_taken_back_is_refused() -> None:
    session = new_session()
    run = session.new_run()
    session.land_propagated(propagated(1, 1, square(1, 1)), run)
    session.undo()
    assert session.land_propagated(propagated(1, 2, square(1, 1)), run) is None
    assert not session.labels.any()


def test_a_click_amid_a_run_is_a_step_of_its_own() -> None:
    session = new_session()
    run = session.new_run()
    session.land_propagated(propagated(1, 1, square(1, 1)), run)
    land(session, 2, 0, CLICK, square(5, 5))
    session.land_propagated(propagated(1, 2, square(1, 1)), run)
    session.undo()
    assert session.ids_in(frame(0)) == ()
    assert session.ids_in(frame(1)) == session.ids_in(frame(2)) == (1,)
    session.undo()
    assert not session.labels.any()
    assert not session.undo()


def test_a_correction_of_the_run_itself_comes_between() -> None:
    """What a run does on top of the user's change cannot be undone before it."""
    session = new_session()
    run = session.new_run()
    session.land_propagated(propagated(1, 1, square(1, 1, side=4)), run)
    paint(session, 1, square(1, 1), 2)
    session.protect_neighbours = False
    session.land_propagated(propagated(3, 1, square(1, 1)), run)
    states = []
    while session.undo():
        states.append(session.ids_in(frame(1)))
    assert states == [(1, 2), (1,), ()]


@pytest.mark.parametrize("by", ["prompt", "request", "stroke", "confirmed"])
def test_frames_of_the_user_are_never_overwritten(by: str) -> None:
    session = new_session()
    match by:
        case "prompt":
            land(session, 1, 2, CLICK, square(1, 1))
        case "request":
            session.edit(1, frame(2), CLICK)
        case "stroke":
            paint(session, 2, square(1, 1), 1)
        case "confirmed":
            session.land_propagated(propagated(1, 2, square(1, 1)), session.new_run())
            assert session.confirm(1, frame(2))
    before = session.labels.copy()
    assert session.anchors(1) == {frame(2)}
    assert session.land_propagated(propagated(1, 2, square(5, 5)), session.new_run()) is None
    np.testing.assert_array_equal(session.labels, before)


SETTLING = {
    "confirmed": lambda s: s.confirm(1, frame(2)),
    "prompted": lambda s: land(s, 1, 2, CLICK, square(1, 1)),
    "painted": lambda s: paint(s, 2, square(6, 6), 1),
    "propagated again": lambda s: s.land_propagated(propagated(1, 2, square(4, 4)), s.new_run()),
}


@pytest.mark.parametrize("settle", SETTLING.values(), ids=list(SETTLING))
def test_a_doubt_stands_until_it_is_settled_and_comes_back_by_undo(settle) -> None:
    session = new_session()
    warning = "There are two similar objects now: it may have divided."
    session.land_propagated(propagated(1, 2, square(1, 1), warning=warning), session.new_run())
    assert session.annotation(1, frame(2)).warning == warning
    settle(session)
    assert session.annotation(1, frame(2)).warning == ""
    session.undo()
    assert session.annotation(1, frame(2)).warning == warning


def test_a_second_run_replaces_the_first() -> None:
    session = new_session()
    for mask in (square(1, 1), square(4, 4)):
        session.land_propagated(propagated(1, 2, mask), session.new_run())
    np.testing.assert_array_equal(session.labels[2] == 1, square(4, 4))


# Where what was propagated ended


def end(object_id: int, t: int) -> Propagated:
    nothing = np.zeros(SHAPE[1:], bool)
    why = f"Object {object_id} ends before frame {t}. It left the frame."
    return propagated(object_id, t, nothing, 0.1, stopped=why)


def ended_session() -> Session:
    """Object 1, clicked in the first frame, is propagated to the second; ends before the third."""
    session = new_session()
    land(session, 1, 0, CLICK, square(1, 1))
    run = session.new_run()
    session.land_propagated(propagated(1, 1, square(1, 1)), run)
    assert session.land_propagated(end(1, 2), run) is None
    return session


def ends(session: Session) -> dict[tuple[int, int], str]:
    """Why objects ended, by object and time."""
    return {(i, f[0]): a.stopped for (i, f), a in session.annotations() if a.stopped}


WHY = "Object 1 ends before frame 2. It left the frame."


def test_why_an_object_ended_is_kept_and_undone_with_its_run() -> None:
    session = ended_session()
    assert ends(session) == {(1, 2): WHY}
    assert session.annotation(1, frame(2)).source == frame(0)
    assert session.objects()[0].frames == (frame(0), frame(1)), "it is not in the third"
    assert session.anchors(1) == {frame(0)}, "a further run may go on from there"
    assert frame(2) not in {f for _, f, _ in session.weakest()}
    session.undo()
    assert ends(session) == {}
    assert session.ids_in(frame(1)) == (), "the same step"
    session.redo()
    assert ends(session) == {(1, 2): WHY}


SUPERSEDED = {
    "propagated there": lambda s: s.land_propagated(propagated(1, 2, square(1, 1)), s.new_run()),
    "clicked there": lambda s: land(s, 1, 2, CLICK, square(1, 1)),
    "painted there": lambda s: paint(s, 2, square(1, 1), 1),
    "agreed to": lambda s: s.confirm(1, frame(2)),
    "deleted from there on": lambda s: objects.delete(s, [1], frame(2), "from here"),
    "joined to one that goes on": lambda s: objects.join(s, 1, 7, frame(2)),
}


@pytest.mark.parametrize("by", SUPERSEDED)
def test_an_end_holds_until_something_else_is_there(by: str) -> None:
    session = ended_session()
    session.land_propagated(propagated(7, 2, square(5, 5)), session.new_run())
    SUPERSEDED[by](session)
    assert ends(session) == {}
    session.undo()
    assert ends(session) == {(1, 2): WHY}


def test_a_joined_track_stays_what_was_propagated() -> None:
    session = ended_session()
    session.land_propagated(propagated(7, 2, square(5, 5)), session.new_run())
    objects.join(session, 1, 7, frame(2))
    assert session.annotation(1, frame(2)).score == 0.5


def test_an_end_goes_with_the_object() -> None:
    session = ended_session()
    paint(session, 1, square(6, 6), 4)
    objects.swap(session, 1, 4, frame(1))
    assert ends(session) == {(4, 2): WHY.replace("Object 1", "Object 4")}


def test_what_is_there_has_not_ended() -> None:
    """Of an earlier run, or of another tool."""
    session = found_session()
    before = state(session)
    assert session.land_propagated(end(5, 2), session.new_run()) is None
    assert state(session) == before
    assert not session.undo()


def test_the_same_end_again_is_no_step() -> None:
    session = ended_session()
    before = state(session)
    session.land_propagated(end(1, 2), session.new_run())
    session.undo()
    assert state(session) != before, "the run itself was undone"


def test_what_is_propagated_leaves_the_neighbours_alone() -> None:
    session = found_session()
    session.land_propagated(propagated(1, 2, square(3, 3, side=4)), session.new_run())
    assert (session.labels[2] == 5).sum() == 16
    assert (session.labels[2] == 1).sum() == 12


def test_a_click_corrects_what_was_propagated() -> None:
    session = new_session()
    session.land_propagated(propagated(1, 2, square(1, 1, side=4)), session.new_run())
    request = session.edit(1, frame(2), NOT_THIS)
    assert request.prompts.mask.sum() == 16
    session.land(answer(request, square(1, 1)))
    assert (session.labels[2] == 1).sum() == 4
    assert session.annotation(1, frame(2)).source is None
    session.undo()
    assert (session.labels[2] == 1).sum() == 16
    assert session.annotation(1, frame(2)).source == frame(0)


def test_the_weakest_first() -> None:
    session = new_session()
    run = session.new_run()
    for object_id, t, score in [(1, 1, 0.8), (1, 2, 0.2), (2, 1, 0.5), (2, 3, 0.2)]:
        mask = square(4 * (object_id - 1), 0)
        session.land_propagated(propagated(object_id, t, mask, score), run)
    assert session.weakest() == [
        (2, frame(1), 0.5),  # what comes after it is doubtful, too
        (1, frame(2), 0.2),
        (2, frame(3), 0.2),
        (1, frame(1), 0.8),
    ]
    land(session, 1, 2, CLICK, square(0, 0))
    session.confirm(2, frame(3))
    assert session.weakest(1) == [(2, frame(1), 0.5)]
    assert session.objects()[1].score == 0.5


WENT_WRONG = {1: 0.9, 2: 0.9, 3: 0.3, 4: 0.3, 5: 0.28, 6: 0.26}
DOUBTFUL_IN_THE_END = {1: 0.9, 2: 0.9, 3: 0.9, 4: 0.9, 5: 0.9, 6: 0.2}


@pytest.mark.parametrize("sign", [1, -1])
def test_the_frame_where_it_went_wrong_comes_first(sign: int) -> None:
    """Not the last one, of the lowest score: a correction there mends nothing else."""
    stack = FrameStack.from_array(np.zeros((13, *SHAPE[1:]), np.uint8), axes="TYX")
    session = Session(stack, np.zeros(stack.shape, np.uint8))
    run = session.new_run()
    for object_id, scores in ((1, WENT_WRONG), (2, DOUBTFUL_IN_THE_END)):
        for steps, score in scores.items():
            mask = square(4 * (object_id - 1), 0)
            result = propagated(object_id, 6 + sign * steps, mask, score)
            session.land_propagated(replace(result, source=frame(6)), run)
    order = [(object_id, t[0]) for object_id, t, _ in session.weakest()]
    assert order[0] == (1, 6 + sign * 3)
    assert order.index((2, 6 + sign * 6)) > 1, "little hangs on it, though it scores lowest"


def test_confirming_what_nobody_propagated_changes_nothing() -> None:
    session = found_session()
    assert not session.confirm(5, frame(0))
    assert not session.undo()


# Other labels, many labels


def test_other_labels_have_no_history() -> None:
    session = new_session()
    land(session, 1, 0, CLICK, square(1, 1))
    session.take_labels(np.full(SHAPE, 70_000, np.uint32))
    assert not session.undo()
    assert session.labels.dtype == np.uint32
    assert session.next_id() == 70_001


def test_undoing_a_long_run_writes_each_frame_once() -> None:
    shape = (60, 32, 32)
    labels, writes = np.zeros(shape, np.uint16), []

    def write(indices, values) -> None:
        writes.append(indices)
        labels[indices] = values

    stack = FrameStack.from_array(np.zeros(shape, np.uint8), rgb=False)
    session = Session(stack, labels, write)
    run = session.new_run()
    for t in range(1, 60):
        for n in range(4):
            region = Region(8 * n, 8 * n, np.ones((8, 8), bool))
            at = (t, None, None)
            session.land_propagated(
                Propagated(n + 1, at, region, 0.9, 0.9, 0.9, "pocket", (0, None, None)), run
            )
    propagated = labels.copy()
    writes.clear()
    session.undo()
    assert not labels.any()
    assert sorted(t for t, *_ in writes) == list(range(1, 60))
    session.redo()
    np.testing.assert_array_equal(labels, propagated)
