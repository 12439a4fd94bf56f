"""Review states of objects: to check, approved, unclear. Each change is one step of undo."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from napari_sam.engine import Review, ReviewState

from .annotation import names_of
from .history import Change
from .session import Session


def set_review(
    session: Session,
    object_ids: Sequence[int],
    state: ReviewState | None,
    *,
    note: str | None = None,
    by: str | None = None,
    run: int | None = None,
) -> None:
    """Give objects a review state, in all their frames.

    Parameters
    ----------
    state
        ``None`` takes it away, with its note.
    note
        By default each object keeps the note that it has.
    by
        Who says so; by default the name that the user has on this computer.
    run
        A number from :meth:`Session.new_run`, for more to be one step with it.

    Raises
    ------
    SamError
        If there is no such state, or the note is too long.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    who = user_name() if by is None else by
    given: dict[int, Review | None] = dict.fromkeys(object_ids)
    if state is not None:
        for object_id in object_ids:
            before = session.reviews.get(object_id)
            kept = before.note if note is None and before else note or ""
            review = Review(state, who, now, kept)
            is_same = before is not None and replace(before, at=now, by=who) == review
            given[object_id] = before if is_same else review
    after = {i: each for i, each in {**session.reviews, **given}.items() if each is not None}
    _make(session, after, f"review of {names_of(sorted(object_ids))}", run)


def user_name() -> str:
    """The name that the user has on this computer; "" if it has none."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return ""


def _make(
    session: Session, after: Mapping[int, Review], action: str, run: int | None = None
) -> None:
    before = session.reviews
    if after != before:
        change = Change((), {}, {}, action=action, reviews_before=before, reviews_after=after)
        session.add(change, run)
