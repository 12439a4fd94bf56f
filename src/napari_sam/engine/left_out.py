"""What could not be used of a source: counted, named, and told in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST_NAMED = 5  # of what is left out for one reason; more are counted
MOST_REASONS = 20


@dataclass(frozen=True)
class LeftOut:
    """What could not be used of a source, and why."""

    where: str  # "line 3", "annotation 7"
    reason: str  # as in "line 3: y is 'nan'. Write a number."; the same for all alike


def sentences_of(left_out: Iterable[LeftOut], source: str = "") -> tuple[str, ...]:
    """A sentence a reason, with what was left out for it."""
    by_reason: dict[str, list[str]] = {}
    for each in left_out:
        by_reason.setdefault(each.reason.rstrip("."), []).append(each.where)
    prefix = f"{source}: " if source else ""
    reasons = list(by_reason.items())
    said = [
        f"{prefix}{len(places)} left out, {_named(places)}: {reason}."
        for reason, places in reasons[:MOST_REASONS]
    ]
    if more := sum(len(places) for _, places in reasons[MOST_REASONS:]):
        said.append(f"{prefix}{more} more are left out for other reasons.")
    return tuple(said)


def _named(places: Sequence[str]) -> str:
    more = len(places) - MOST_NAMED
    return ", ".join(places[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
