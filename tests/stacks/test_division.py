"""Who has a sister, and who only has a neighbour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from movies import SIZE, Disc, disc, predictor
from napari_sam.session import Region
from napari_sam.stacks.division import Parting, divided
from napari_sam.stacks.motion import Picture

MOTHER, DAUGHTER, SISTER = (30, 30, 8), (30, 22, 5), (30, 38, 5)
REST = (0.0, 0.0)


@dataclass(frozen=True)
class Case:
    """Discs of the last frame and of this one; the first one of each is the object."""

    name: str
    last: tuple[Disc, ...]
    now: tuple[Disc, ...]
    divided: bool
    velocity: tuple[float, float] = REST
    taken: tuple[Disc, ...] = ()  # of others


CASES = (
    Case("sisters", (MOTHER,), (DAUGHTER, SISTER), True),
    Case("one is smaller", (MOTHER,), (DAUGHTER, (30, 38, 3)), True),
    Case("the daughter followed is as large as the mother", ((30, 30, 6),), ((30, 25, 6), SISTER),
         True),
    Case("an only child", (MOTHER,), (DAUGHTER,), False),
    Case("a neighbour that was there", (MOTHER, (30, 44, 5)), (DAUGHTER, (30, 42, 5)), False),
    Case("a neighbour that is another object", (MOTHER,), (DAUGHTER, SISTER), False,
         taken=(SISTER,)),
    Case("a giant", (MOTHER,), (DAUGHTER, (30, 46, 14)), False),
    Case("a speck", (MOTHER,), (DAUGHTER, (30, 38, 1)), False),
    Case("outside of the frame", ((30, 58, 5),), ((30, 50, 3),), False),
    Case("it went on as it did", ((30, 20, 6),), ((30, 26, 6), (30, 14, 6)), False,
         velocity=(0, 6)),
)  # fmt: skip


def drawn(discs: tuple[Disc, ...]) -> np.ndarray:
    """A frame of discs, (S, S, 3) uint8."""
    mask = np.logical_or.reduce([disc(*each) for each in discs])
    return np.repeat(np.where(mask, 200, 20).astype(np.uint8)[..., None], 3, axis=2)


def verdict(case: Case, before: Region, now: Region) -> bool:
    seeing, frames = predictor(), (drawn(case.last), drawn(case.now))
    taken = np.logical_or.reduce([now.within((0, 0, SIZE, SIZE)), *(disc(*t) for t in case.taken)])
    pictures = tuple(Picture(frame, (SIZE, SIZE)) for frame in frames)
    parting = Parting(before, now, case.velocity)
    return divided([parting], taken, pictures, seeing.encode(frames[1]), seeing)[0]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_followed_in_one_daughter(case: Case) -> None:
    before, now = (Region.from_mask(disc(*discs[0])) for discs in (case.last, case.now))
    assert verdict(case, before, now) is case.divided


@pytest.mark.parametrize(("was", "is_", "divides"), [
    ((MOTHER,), (DAUGHTER, SISTER), True),
    ((DAUGHTER, SISTER), (DAUGHTER, SISTER), False),
    ((MOTHER,), (MOTHER, (30, 42, 2)), False),
], ids=["one in two pieces", "in two pieces as before", "with a crumb"])  # fmt: skip
def test_followed_in_both(was, is_, divides) -> None:
    before, now = (
        Region.from_mask(np.logical_or.reduce([disc(*d) for d in discs])) for discs in (was, is_)
    )
    assert verdict(Case("", was, is_, divides), before, now) is divides
