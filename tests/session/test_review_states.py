"""Review states: given, noted, undone, saved, and where they go when objects change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_sam.engine import REVIEW_STATES, FrameStack, Review, SamError, read_review
from napari_sam.headless import open_labelled
from napari_sam.measurements import measure
from napari_sam.session import Session, load, objects, save
from napari_sam.session.review_states import set_review

FRAME = (0, None, None)


@pytest.fixture
def session() -> Session:
    labels = np.zeros((2, 8, 8), np.uint16)
    labels[:, 1:3, 1:3], labels[:, 5:7, 5:7], labels[0, 0, 7] = 1, 2, 3
    return Session(FrameStack.from_array(np.zeros((2, 8, 8), np.uint8), axes="TYX"), labels)


def states(session: Session) -> dict[int, str]:
    return {i: each.state for i, each in session.reviews.items()}


def test_given_changed_and_undone(session: Session) -> None:
    told = []
    session.reviews_changed.connect(lambda: told.append(states(session)))
    set_review(session, [1, 2], "approved", by="mary", note="round")
    set_review(session, [2], "unclear", by="john")
    assert states(session) == {1: "approved", 2: "unclear"}
    assert (session.reviews[2].by, session.reviews[2].note) == ("john", "round"), "the note stays"
    assert session.reviews[1].at.endswith("+00:00")
    assert session.last_step == "review of object 2"
    before = session.n_changes
    set_review(session, [1], "approved", by="somebody else")
    assert session.n_changes == before, "it is that already: who said it first stays"
    set_review(session, [1], None)
    assert states(session) == {2: "unclear"}
    for expected in ({1: "approved", 2: "unclear"}, {1: "approved", 2: "approved"}, {}):
        assert session.undo()
        assert states(session) == expected
    assert session.redo()
    assert states(session) == {1: "approved", 2: "approved"}
    assert len(told) == 7


def test_of_a_user_without_a_name(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "mary")
    set_review(session, [1], "to check")
    assert session.reviews[1].by == "mary"


def test_what_is_none(session: Session) -> None:
    with pytest.raises(SamError, match="to check, approved, unclear"):
        set_review(session, [1], "good")  # type: ignore[arg-type]
    with pytest.raises(SamError, match="2000 characters"):
        set_review(session, [1], "approved", note="x" * 2001)
    assert not session.reviews


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (lambda s: objects.delete(s, [1], FRAME, "everywhere"), {2: "unclear"}),
        (lambda s: objects.delete(s, [1], FRAME, "here"), {1: "to check", 2: "unclear"}),
        (lambda s: objects.merge(s, 2, [1], FRAME, "everywhere"), {2: "unclear"}),
        (lambda s: objects.merge(s, 3, [1], FRAME, "everywhere"), {2: "unclear", 3: "to check"}),
    ],
    ids=["deleted", "deleted in one frame", "merged into another", "merged into one of none"],
)
def test_objects_that_change(session: Session, change, after) -> None:
    set_review(session, [1], "approved")
    set_review(session, [2], "unclear")
    change(session)
    kept = {
        i: state
        for i, state in states(session).items()
        if i != 1 or 1 in session.ids_in(FRAME) or 1 in session.ids_in((1, None, None))
    }
    assert kept == after
    session.undo()
    assert states(session) == {1: "approved", 2: "unclear"}


def test_saved_and_measured(session: Session, tmp_path: Path) -> None:
    set_review(session, [1], "approved", by="mary", note="two\nlines, “ä”")
    save(session, folder := tmp_path / "a.tif.napari-sam")
    assert load(folder, session.stack).reviews == session.reviews
    table = measure(open_labelled(folder))
    first = table[table["object_id"] == 1].iloc[0]
    assert (first["review"], first["reviewed_by"]) == ("approved", "mary")
    assert first["review_note"] == "two\nlines, “ä”"
    assert set(table[table["object_id"] == 2]["review"]) == {""}


def painted(session: Session) -> None:
    """A stroke of the brush on object 1."""
    where = (np.array([0]), np.array([3]), np.array([1]))
    before = session.labels[where].copy()
    session.labels[where] = 1
    session.note_stroke([(where, before, np.array([1]))])


def swallowed(session: Session) -> None:
    """Object 2 takes a pixel of object 1."""
    where = (np.array([0]), np.array([1]), np.array([1]))
    before = session.labels[where].copy()
    session.labels[where] = 2
    session.note_stroke([(where, before, np.array([2]))])


@pytest.mark.parametrize(
    ("change", "falls"),
    [
        (painted, True),
        (swallowed, True),
        (lambda s: objects.delete(s, [1], FRAME, "here"), True),
        (lambda s: objects.merge(s, 1, [3], FRAME, "everywhere"), True),
        (lambda s: objects.swap(s, 1, 2, FRAME), False),
        (lambda s: objects.merge(s, 2, [3], FRAME, "everywhere"), False),
        (lambda s: set_review(s, [2], "approved"), False),
    ],
    ids=["painted", "loses a pixel", "deleted in a frame", "merged", "swapped", "another", "other"],
)
def test_what_was_approved_is_to_be_checked_once_it_is_changed(session, change, falls) -> None:
    set_review(session, [1], "approved", by="mary", note="round")
    approved = session.reviews[1]
    when = approved.at[:16].replace("T", " ")
    change(session)
    after = {each.state: each for each in session.reviews.values() if each.note}
    if falls:
        assert list(after) == ["to check"]
        assert after["to check"].note == f"Changed after approval by mary, {when}.\nround"
        assert after["to check"].at >= approved.at
    else:
        assert after["approved"].note == "round"
    session.undo()
    assert session.reviews == {1: approved}
    session.redo()
    assert {each.state for each in session.reviews.values() if each.note} == set(after)


def test_approved_and_changed_again_and_again(session: Session) -> None:
    set_review(session, [1], "approved", by="mary", note="round")
    painted(session)
    set_review(session, [1], "approved", by="john")
    assert session.reviews[1].note.startswith("Changed after approval by mary")
    swallowed(session)
    first, *rest = session.reviews[1].note.splitlines()
    assert first.startswith("Changed after approval by john")
    assert rest == ["round"]


@pytest.mark.parametrize("state", REVIEW_STATES)
def test_columns_and_back(state) -> None:
    review = Review(state, "mary", "2026-03-01T12:00:00+00:00", "why?")
    assert read_review(review.columns) == review
    assert review.text == f"{state} by mary, 2026-03-01 12:00: why?"


@pytest.mark.parametrize("columns", [{}, {"review": "good"}, {"review": None}, {"review": ["a"]}])
def test_columns_of_others(columns: dict) -> None:
    assert read_review(columns) is None
    partial = read_review({"review": "unclear", "reviewed_by": 3, "review_note": "n" * 3000})
    assert partial == Review("unclear", note="n" * 2000)
