"""What is one step, in which order steps are taken back, and how far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from napari_sam.session import Region
from napari_sam.session.edits import LabelEdit
from napari_sam.session.history import BYTES_A_CHANGE, Change, History


def change(t: int | None, at: int, object_id: int = 1, *, parents: bool = False) -> Change:
    """One pixel of a frame, or no pixel at all."""
    frame = (t, None, None)
    one = np.ones(1, np.uint8)
    edits = (
        () if t is None else (LabelEdit(frame, Region(at, at, np.ones((1, 1), bool)), one, one),)
    )
    named = {(object_id, frame): None}
    lineage = ({}, {2: (1,)}) if parents else (None, None)
    return Change(edits, named, named, *lineage)


CLICK, RUN = 1, 2


@dataclass(frozen=True)
class Order:
    name: str
    click: Change  # made while a run was going on
    then: Change  # of the run
    steps: list[int]  # as they are taken back


ORDERS = [
    Order("elsewhere", change(0, 0, 7), change(3, 0), [CLICK, RUN]),
    Order("other pixels of one frame", change(3, 5, 7), change(3, 0), [CLICK, RUN]),
    Order("the same pixels", change(3, 0, 7), change(3, 0), [RUN, CLICK, RUN]),
    Order("the same object and frame", change(3, 5, 1), change(3, 0), [RUN, CLICK, RUN]),
    Order(
        "both a lineage",
        change(0, 0, 7, parents=True),
        change(3, 0, parents=True),
        [RUN, CLICK, RUN],
    ),
    Order("no pixel", change(None, 0, 7), change(3, 0), [CLICK, RUN]),
]


@pytest.mark.parametrize("case", ORDERS, ids=lambda c: c.name)
def test_order(case: Order) -> None:
    history = History()
    click, run = history.new_run(), history.new_run()
    history.add(change(2, 0), run)
    history.add(case.click, click)
    history.add(case.then, run)
    taken = []
    while history.last:
        taken.append(history.step_back().number)
    assert taken == [{CLICK: click, RUN: run}[step] for step in case.steps]


def test_a_view_from_the_side_crosses_every_frame() -> None:
    from_the_side = LabelEdit(
        (None, 3, None), Region(0, 0, np.ones((1, 1), bool)), np.ones(1), np.ones(1)
    )
    aside = Change((from_the_side,), {}, {})
    assert not aside.is_apart_from(change(0, 0))
    assert not change(0, 0).is_apart_from(aside)


def test_a_new_step_ends_what_could_be_redone() -> None:
    history = History()
    history.add(change(0, 0), history.new_run())
    history.step_back()
    assert history.next
    history.add(change(1, 0), history.new_run())
    assert history.next is None


def test_a_run_taken_back_accepts_nothing_until_it_is_redone() -> None:
    history = History()
    run = history.new_run()
    history.add(change(0, 0), run)
    assert history.accepts(run)
    history.step_back()
    assert not history.accepts(run)
    history.step_forward()
    assert history.accepts(run)


def test_the_oldest_are_forgotten_first() -> None:
    history = History(bytes_kept=5 * (BYTES_A_CHANGE + 100))
    numbers = [history.new_run() for _ in range(20)]
    for t, run in enumerate(numbers):
        history.add(change(t, 0), run)
    history.step_back()
    history.add(change(50, 0), numbers[-1])
    taken = []
    while history.last:
        taken.append(history.step_back().number)
    assert taken == numbers[:-6:-1]
    history.clear()
    assert history.next is None


def test_the_last_step_is_kept_however_large() -> None:
    history = History(bytes_kept=1)
    for t in range(3):
        history.add(change(t, 0), 1)
    assert len(history.last.changes) == 3
