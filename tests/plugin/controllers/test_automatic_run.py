"""What is told of a search: how many stand, why others do not, how many are selected."""

from __future__ import annotations

import numpy as np

from napari_sam.engine import FoundObject, FrameStack
from napari_sam.plugin.controllers.automatic_run import Run
from napari_sam.plugin.panels.automatic import PageOptions
from napari_sam.session import Session

STACK = FrameStack.from_array(np.zeros((2, 32, 32), np.uint8), rgb=False)
FRAMES = tuple(STACK.indices())


def found(top: int) -> FoundObject:
    click = FoundObject.unseen((top, 0.0), "seeds", score=0.9, stability=0.9)
    return click.with_mask(np.ones((4, 4), bool), top, 0)


def new_run() -> Run:
    session = Session(STACK, np.zeros(STACK.shape, np.uint16))
    return Run(session, STACK, PageOptions(), "pocket", FRAMES, 0)


def test_frames_decided_again_are_counted_once() -> None:
    run = new_run()
    run.note(FRAMES[0], (found(0), found(8).drop("low score")))
    run.note(FRAMES[1], (found(0), found(8)))
    assert run.summary == "3 objects found in 2 frames. Dropped: 1 low score."
    run.note(FRAMES[0], (found(0), found(8)))
    assert run.summary == "4 objects found in 2 frames."
    run.note(FRAMES[1], (found(0).drop("too small"), found(8).drop("too small")))
    assert run.summary == "2 objects found in 2 frames. Dropped: 2 too small."


def test_what_a_filter_drops_is_selected_no_longer() -> None:
    run = new_run()
    run.note(FRAMES[0], (found(0), found(8)))
    run.choose_at(FRAMES[0], (1, 1))
    run.choose_at(FRAMES[0], (9, 1))
    assert run.n_chosen == 2
    run.note(FRAMES[0], (found(0), found(8).drop("low score")))
    assert run.n_chosen == 1
