"""Review states: given, noted, undone, saved, and where they go when objects change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_sam.engine import REVIEW_STATES, FrameStack, Review, SamError, read_review
from napari_sam.headless import open_labelled
from napari_sam.measurements import measure
from napari_sam.session import Session, load, objects, save
from napari_sam.session.review_states import set_review, take_reviews

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
        (lambda s: objects.delete(s, [1], FRAME, "here"), {1: "approved", 2: "unclear"}),
        (lambda s: objects.merge(s, 2, [1], FRAME, "everywhere"), {2: "unclear"}),
        (lambda s: objects.merge(s, 3, [1], FRAME, "everywhere"), {2: "unclear", 3: "approved"}),
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


def test_taken_from_a_file(session: Session) -> None:
    set_review(session, [1], "approved")
    take_reviews(session, {2: Review("unclear", "john")})
    assert states(session) == {1: "approved", 2: "unclear"}
    session.undo()
    assert states(session) == {1: "approved"}


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
