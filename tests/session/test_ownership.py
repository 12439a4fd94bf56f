"""No object without pixels: masks that are another object already, pixels taken from others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from annotating import CLICK, answer, frame, land, new_session, paint, square, state
from napari_sam.engine import Prompts
from napari_sam.session import Propagated, Region, objects

BOX = Prompts.from_box((1, 1, 4, 4))
BESIDE = Prompts.from_points([(6, 6)])


@dataclass(frozen=True)
class Case:
    name: str
    prompts: Prompts
    mask: np.ndarray  # object 1 covers rows and columns 1 to 4
    owner: int | None  # None: it lands
    protect: bool = True


CASES = [
    Case("a click inside, the same mask", CLICK, square(1, 1, 4), 1),
    Case("a click inside, its border is left", CLICK, square(1, 1, 5), 1),
    Case("a click inside, a cell around it", CLICK, square(0, 0, 7), None),
    Case("a box inside", BOX, square(2, 2, 2), 1),
    Case("a box that shares half", BOX, square(1, 3, 4), None),
    Case("a click beside, a mask that runs over", BESIDE, square(2, 2, 5), None),
    Case("a click beside, a mask that is the neighbour", BESIDE, square(1, 1, 4), 1),
    Case("nothing found", BESIDE, square(0, 0, 0), 0),
    Case("the newest wins", CLICK, square(1, 1, 4), None, protect=False),
    Case("nothing found, unprotected", BESIDE, square(0, 0, 0), 0, protect=False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_mask_that_is_another_object_does_not_land(case: Case) -> None:
    session = new_session(protect_neighbours=case.protect)
    land(session, 1, 0, CLICK, square(1, 1, 4))
    before, refused = state(session), []
    session.refused.connect(lambda *what: refused.append(what))
    request = session.edit(2, frame(0), case.prompts)
    edit = session.land(answer(request, case.mask))
    assert session.pending() == ()
    if case.owner is None:
        assert edit
        assert refused == []
        assert 2 in session.ids_in(frame(0))
    else:
        assert edit is None
        assert refused == [(2, frame(0), case.owner)]
        assert state(session) == before
        assert session.drawings(2, frame(0)) == ()
    listed = {each.object_id for each in session.objects()}
    assert listed == set(session.ids_in(frame(0)))


def test_an_object_goes_on_into_its_neighbour_without_a_loss() -> None:
    session = new_session()
    land(session, 1, 0, CLICK, square(1, 1, 4))
    land(session, 2, 0, BESIDE, square(5, 5, 2))
    land(session, 2, 0, BESIDE.with_point((2, 2)), square(1, 1, 6))
    assert (session.labels[0] == 1).sum() == 16
    assert (session.labels[0] == 2).sum() == 36 - 16


def test_an_object_all_of_whose_pixels_were_taken_is_listed_no_more() -> None:
    session = new_session(protect_neighbours=False)
    land(session, 1, 0, CLICK, square(2, 2))
    start = state(session)
    land(session, 2, 0, BOX, square(1, 1, 4))
    assert [each.object_id for each in session.objects()] == [2]
    assert session.undo()
    assert state(session) == start


def test_an_object_rubbed_out_is_listed_no_more() -> None:
    session = new_session()
    land(session, 1, 0, CLICK, square(2, 2))
    paint(session, 0, square(2, 2), 0)
    assert session.objects() == []


@pytest.mark.parametrize("mask", [square(1, 1, 4), square(2, 2, 2)])
def test_what_is_propagated_into_another_object_ends(mask: np.ndarray) -> None:
    session = new_session()
    land(session, 1, 1, CLICK, square(1, 1, 4))
    region = Region.from_mask(mask)
    way = Propagated(2, frame(1), region, 0.7, 0.6, 0.9, "pocket", frame(0))
    assert session.land_propagated(way, session.new_run()) is None
    assert "pixels of other objects" in session.annotation(2, frame(1)).stopped
    assert [each.object_id for each in session.objects()] == [1]


@pytest.mark.parametrize("scope", ["here", "everywhere"])
def test_the_number_of_a_deleted_object_is_not_given_again(scope: str) -> None:
    session = new_session()
    land(session, 1, 0, CLICK, square(1, 1))
    session.select(1)
    objects.delete(session, [1], frame(0), scope)
    assert session.active == 2


def test_an_object_deleted_in_one_frame_of_two_stays_active() -> None:
    session = new_session()
    for t in (0, 1):
        land(session, 1, t, CLICK, square(1, 1))
    session.select(1)
    objects.delete(session, [1], frame(0))
    assert session.active == 1


def test_an_object_that_became_part_of_another_hands_over() -> None:
    session = new_session()
    land(session, 1, 0, CLICK, square(1, 1))
    land(session, 2, 0, BESIDE, square(5, 5))
    session.select(2)
    objects.merge(session, 1, [2], frame(0), "everywhere")
    assert session.active == 1


def test_steps_are_told_by_what_they_did() -> None:
    session = new_session()
    told = []
    land(session, 1, 0, CLICK, square(1, 1))
    land(session, 2, 0, BESIDE, square(5, 5))
    paint(session, 0, square(0, 7), 2)
    run = session.new_run()
    for t in (1, 2):
        region = Region.from_mask(square(1, 1))
        session.land_propagated(
            Propagated(1, frame(t), region, 0.7, 0.6, 0.9, "pocket", frame(0)), run
        )
    objects.delete(session, [1, 2], frame(0))
    while session.last_step:
        told.append(session.last_step)
        session.undo()
    assert told == [
        "deletion of objects 1 and 2",
        "propagation of object 1 over 2 frames",
        "brush stroke of object 2",
        "prompt of object 2",
        "prompt of object 1",
    ]
    assert session.next_step == "prompt of object 1"


def test_other_tools_labels_are_named_too() -> None:
    labels = np.zeros((4, 8, 9), np.uint16)
    labels[:, 1:3, 1:3] = 7
    session = new_session(labels)
    objects.delete(session, [7], frame(0), "everywhere")
    assert session.last_step == "deletion of object 7 over 4 frames"


def test_the_last_steps_of_one_object_become_one() -> None:
    session = new_session()
    land(session, 1, 0, CLICK, square(1, 1))
    land(session, 2, 0, BESIDE, square(5, 5))
    start, since = state(session), session.newest_run
    assert session.join_steps(since, 2, "correction") is None
    land(session, 2, 0, BESIDE.with_point((6, 5)), square(5, 5, 3))
    paint(session, 0, square(0, 7), 2)
    run = session.join_steps(since, 2, "correction")
    region = Region.from_mask(square(1, 1))
    session.land_propagated(Propagated(2, frame(1), region, 0.7, 0.6, 0.9, "pocket", frame(0)), run)
    assert session.last_step == "correction of object 2 over 2 frames"
    end = state(session)
    session.undo()
    assert state(session) == start
    session.redo()
    assert state(session) == end
    land(session, 1, 0, CLICK.with_point((2, 1)), square(1, 1, 3))
    assert session.join_steps(since, 2, "correction") is None, "something else came between"
