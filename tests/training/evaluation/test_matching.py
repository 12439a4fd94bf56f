"""Matching of true and found objects, against cases counted by hand."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from napari_sam.training.evaluation.matching import (
    Counts,
    FoundScore,
    Region,
    match,
    paired,
)


def rows(*objects: tuple[int, int, int], height: int = 6) -> NDArray[np.int32]:
    """Labels (height, 100): of each object its row, first column, and length; ids from 1 on."""
    labels = np.zeros((height, 100), np.int32)
    for id_, (row, first, length) in enumerate(objects, start=1):
        labels[row, first : first + length] = id_
    return labels


def test_a_frame_counted_by_hand() -> None:
    """Found well, found so so, missed though proposed, missed, found where there is nothing.

    IoU 18 / 20; 12 / 20, 12 of the 20 pixels being common and no others; 4 / 20 is no match. The
    dropped proposal covers the third, 16 of 20, and the false one lies on the ground.
    """
    truth = rows((0, 0, 20), (1, 0, 20), (2, 0, 20), (3, 0, 20))
    found = rows((0, 0, 18), (1, 4, 12), (3, 0, 4), (5, 50, 20))
    dropped: list[Region] = [((slice(2, 3), slice(0, 16)), np.ones((1, 16), bool))]
    result = match(truth, found, dropped)
    assert [(t, f) for t, f, _ in result.pairs] == [(1, 1), (2, 2)]
    assert [iou for *_, iou in result.pairs] == pytest.approx([0.9, 0.6])
    assert (result.false, result.rejected, result.never_proposed) == ((3, 4), (3,), (4,))
    score = FoundScore.of(result.counts)
    assert (score.n_objects, score.n_found) == (4, 4)
    assert score.precision == score.recall == score.f1_50 == 0.5
    assert score.f1_75 == pytest.approx(2 * 1 / 8)
    assert score.matched_iou == pytest.approx(0.75)
    assert score.pq == pytest.approx(1.5 / (2 + 1 + 1))
    assert score.never_proposed == score.rejected == 0.25


def test_one_object_is_matched_once() -> None:
    """Two halves of one object reach 0.5 both, and only one of them can have it."""
    result = match(rows((0, 0, 40)), rows((0, 0, 20), (0, 20, 20)))
    assert result.counts == Counts(1, 2, 1, 0, 0.5)
    assert len(result.false) == 1


def test_as_many_pairs_as_possible() -> None:
    """The best pair first would leave the second object alone."""
    true, found = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    ious = np.array([0.9, 0.6, 0.8, 0.1])
    assert paired(true, found, ious, 0.5).tolist() == [1, 2]
    assert paired(true, found, ious, 0.85).tolist() == [0]


def test_ten_thousand_objects_take_no_table_of_all_pairs() -> None:
    """A table of every true with every found object would take gigabytes."""
    ids = np.arange(1, 10_001).reshape(100, 100)
    truth = np.kron(ids, np.ones((5, 5), np.int64))
    found = np.where(truth % 4 == 0, 0, truth + 7)
    tracemalloc.start()
    counts = match(truth, found).counts
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (counts.n_true, counts.n_found, counts.n_matched) == (10_000, 7_500, 7_500)
    assert peak < 50e6


def test_debris_is_neither_an_object_nor_a_mistake() -> None:
    truth = rows((0, 0, 20), (1, 0, 10))
    assert match(truth, rows((0, 0, 20), (1, 0, 18))).counts == Counts(1, 1, 1, 1, 1.0)
    assert match(truth, rows((0, 0, 20), (1, 0, 40))).false == (2,)


@pytest.mark.parametrize(
    ("truth", "found", "f1"),
    [
        (rows(), rows((0, 0, 20)), 0),
        (rows((0, 0, 20)), rows(), 0),
        (rows((0, 0, 20)), rows((0, 0, 20)), 1),
    ],
    ids=["nothing there", "nothing found", "all"],
)
def test_ends_of_the_scale(truth: NDArray[np.int32], found: NDArray[np.int32], f1: float) -> None:
    score = FoundScore.of(match(truth, found).counts)
    assert score.f1_50 == score.f1_75 == score.pq == score.precision == f1


def test_unlabelled_objects_are_no_mistakes() -> None:
    """One frame of a source with unlabelled objects makes its precision unknown, not its recall."""
    truth, found = rows((0, 0, 20), (1, 0, 20)), rows((0, 0, 20), (3, 0, 20))
    partly = match(truth, found, complete=False).counts
    score = FoundScore.of(partly + match(truth, found).counts)
    assert (score.recall, score.matched_iou, score.never_proposed) == (0.5, 1, 0.5)
    assert all(math.isnan(v) for v in (score.precision, score.f1_50, score.f1_75, score.pq))


def test_the_mean_counts_every_source_once() -> None:
    good = FoundScore.of(Counts(100, 100, 100, 100, 90.0))
    bad = FoundScore.of(Counts(10, 10, 0, 0, 0.0))
    partly = FoundScore.of(Counts(10, 30, 7, 7, 7.0, complete=False))
    mean = FoundScore.mean([good, bad, partly])
    assert (mean.n_objects, mean.n_found) == (120, 140)
    assert mean.f1_50 == mean.precision == 0.5
    assert mean.recall == pytest.approx((1 + 0 + 0.7) / 3)


@given(
    arrays(np.int32, (12, 12), elements=st.integers(0, 3)),
    arrays(np.int32, (12, 12), elements=st.integers(0, 3)),
)
def test_what_is_true_of_any_labels(truth: NDArray[np.int32], found: NDArray[np.int32]) -> None:
    counts = match(truth, found).counts
    assert match(found * 7, truth * 5).counts.n_close <= counts.n_true
    assert counts.n_close <= counts.n_matched <= min(counts.n_true, counts.n_found)
    assert match(truth, truth).counts.n_matched == counts.n_true
    score = FoundScore.of(counts)
    assert 0 <= score.pq <= score.f1_50 <= 1
