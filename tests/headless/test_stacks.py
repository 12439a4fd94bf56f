"""Stacks without a display, in Python."""

from __future__ import annotations

import numpy as np
import pytest

import movies
from movies import movie, moving
from napari_sam.engine import EmbeddingCache, FrameError, FrameStack, SamError, iou
from napari_sam.headless.stacks import annotated_session, propagate, seeded_session

COURSES = {3: moving(16, 10, 0, 4, 5), 8: moving(48, 50, 0, -4, 5)}


@pytest.mark.parametrize("whole", [False, True], ids=["one frame", "a whole stack"])
def test_seeds_are_those_of_one_frame(whole: bool) -> None:
    stack, labels = movie(COURSES)
    session = seeded_session(stack, labels if whole else labels[2], stack.index(2))
    np.testing.assert_array_equal(session.labels[2], labels[2])
    assert not session.labels[[0, 1, 3, 4]].any()


def test_labels_of_a_huge_stack_take_memory_where_there_are_objects() -> None:
    stack = FrameStack.from_array(np.broadcast_to(np.uint8(9), (600, 1000, 1000)))
    seeds = np.zeros(stack.frame_shape, np.uint8)
    seeds[4:9, 5:7] = 3
    session = seeded_session(stack, seeds, stack.index(2))
    assert session.labels.nchunks_initialized == 1
    np.testing.assert_array_equal(session.labels[2, :20, :20], seeds[:20, :20])
    assert session.region(3, stack.index(2)).area == 10


def test_seeds_that_do_not_fit() -> None:
    stack, labels = movie(COURSES)
    with pytest.raises(FrameError, match="do not fit"):
        seeded_session(stack, labels[:, :-1], stack.index(0))
    with pytest.raises(FrameError, match="no object"):
        seeded_session(stack, np.zeros_like(labels), stack.index(0))
    with pytest.raises(FrameError, match="whole numbers"):
        seeded_session(stack, labels / 2, stack.index(0))


def test_propagate_in_python() -> None:
    """Every result is in the labels when it comes; stopping keeps it."""
    stack, labels = movie(COURSES)
    session = seeded_session(stack, labels, stack.index(0))
    results = propagate(session, stack.index(0), movies.predictor())
    first = next(results)
    assert (first.object_id, first.frame) == (3, (1, None, None))
    np.testing.assert_array_equal(session.region(3, first.frame).pixels, first.mask.pixels)
    next(results)
    results.close()
    assert session.labels[1].any()
    assert not session.labels[2].any()
    assert session.annotation(3, first.frame).model_hash == "0"


def test_frames_between_annotated_ones_are_filled() -> None:
    """Object 3 is annotated in the first and the last frame, object 8 in the first only."""
    stack, labels = movie(COURSES)
    known = labels.copy()
    known[1:4] = 0
    known[4][known[4] == 8] = 0
    session = annotated_session(stack, known)
    results = list(propagate(session, stack.index(2), movies.predictor(), direction="between"))
    assert {(r.object_id, r.frame[0]) for r in results} == {(3, 1), (3, 2), (3, 3)}
    for t in range(5):
        assert iou(session.labels[t] == 3, labels[t] == 3) > 0.8
    seeded = seeded_session(stack, labels, stack.index(2))
    with pytest.raises(SamError, match="No object is annotated both before and after"):
        next(propagate(seeded, stack.index(2), movies.predictor(), direction="between"))
    with pytest.raises(FrameError, match="labels of the whole stack"):
        annotated_session(stack, labels[0])


def test_a_cache_that_is_empty_yet_is_used() -> None:
    stack, labels = movie(COURSES)
    cache, network = EmbeddingCache(), movies.predictor()
    for _ in range(2):
        session = seeded_session(stack, labels, stack.index(0))
        list(propagate(session, stack.index(0), network, cache=cache))
    assert len(cache) == network.model.network.n_encoded == 4
