"""What a person says of an object: to check, approved or unclear; who and when, with a note."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from .errors import SamError

ReviewState: TypeAlias = Literal["to check", "approved", "unclear"]

REVIEW_STATES: tuple[ReviewState, ...] = get_args(ReviewState)
REVIEW_COLUMNS = ("review", "reviewed_by", "reviewed_at", "review_note")
REOPENED = "Changed after approval"
LONGEST = {"by": 200, "at": 40, "note": 2000}  # characters


@dataclass(frozen=True)
class Review:
    """The review state of an object.

    Attributes
    ----------
    by
        Who gave it, "" if that is not known.
    at
        When, in ISO 8601 with the zone: ``2026-03-01T12:00:00+00:00``.

    Raises
    ------
    SamError
        If there is no such state, or a text is too long.
    """

    state: ReviewState
    by: str = ""
    at: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.state not in REVIEW_STATES:
            raise SamError(
                f"{self.state!r} is no review state. Choose one of: {', '.join(REVIEW_STATES)}."
            )
        for name, most in LONGEST.items():
            if len(getattr(self, name)) > most:
                raise SamError(
                    f"The {name} of a review has over {most} characters. Write it shorter."
                )

    @property
    def columns(self) -> dict[str, str]:
        """As a row of a table has it; a name of :data:`REVIEW_COLUMNS` → text."""
        values = (self.state, self.by, self.at, self.note)
        return dict(zip(REVIEW_COLUMNS, values, strict=True))

    def reopened(self, at: str) -> Review:
        """To be checked again, as the object was changed; the note says who approved it and when.

        Parameters
        ----------
        at
            The time of the change, in ISO 8601.
        """
        who = f" by {self.by}" if self.by else ""
        when = f", {self.at[:16].replace('T', ' ')}" if self.at else ""
        own = [line for line in self.note.splitlines() if not line.startswith(REOPENED)]
        note = "\n".join([f"{REOPENED}{who}{when}.", *own])
        return Review("to check", "", at, note[: LONGEST["note"]])

    @property
    def text(self) -> str:
        """In a sentence: "approved by mary, 2026-03-01 12:00: two nuclei?"."""
        who = f" by {self.by}" if self.by else ""
        when = f", {self.at[:16].replace('T', ' ')}" if self.at else ""
        note = f": {self.note}" if self.note else ""
        return f"{self.state}{who}{when}{note}"


def read_review(columns: Mapping[str, Any]) -> Review | None:
    """The review that a record of a file has under the names of :data:`REVIEW_COLUMNS`, if any.

    What is no state of ours, of another program or written by hand, is none.
    """
    state, *others = (columns.get(name) for name in REVIEW_COLUMNS)
    if state not in REVIEW_STATES:
        return None
    limits = LONGEST.values()
    texts = (
        each[:most] if isinstance(each, str) else ""
        for each, most in zip(others, limits, strict=True)
    )
    return Review(state, *texts)
