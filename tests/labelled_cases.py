"""Objects of all kinds, by name: what a format has to hold, or to say that it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_sam.engine import Labelled, Review


@dataclass(frozen=True)
class Case:
    """Labels with what is known of them."""

    name: str
    make: Callable[[], Labelled]

    def __str__(self) -> str:
        return self.name


def frame(*rows: str) -> np.ndarray:
    """Labels as they are drawn: a digit a pixel, a dot for the background."""
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint16)


RING = frame(
    "..........",
    ".11111.22.",
    ".1...1.22.",
    ".1.3.1....",
    ".1...1.4..",
    ".11111..4.",
    "..........",
    "5.555.6666",
    "55..5.6..6",
    "5.555.6.66",
    "......66.6",
)
"""A ring with an object in it, one in pieces that touch at a corner, holes that meet outlines."""


REVIEWS = {
    1: Review("approved", "mary", "2026-03-01T12:00:00+00:00", "a ring, “ä”"),
    2: Review("unclear"),
}


def holes() -> Labelled:
    return Labelled.of(RING)


def not_consecutive() -> Labelled:
    return Labelled.of(RING.astype(np.uint32) * 4711)


def large_ids() -> Labelled:
    return Labelled.of(RING.astype(np.uint32) * 90_001)


def empty() -> Labelled:
    return Labelled.of(np.zeros((7, 9), np.uint16))


def all_one() -> Labelled:
    return Labelled.of(np.ones((5, 6), np.uint16))


def single_pixels() -> Labelled:
    return Labelled.of(np.eye(8, dtype=np.uint16))


def movie() -> Labelled:
    labels = np.stack([RING, np.zeros_like(RING), np.roll(RING, 1, axis=1)])
    scale, units = (30.0, 0.2, 0.2), ("second", "micrometer", "micrometer")
    classes = {1: "ring", 6: "ring", 2: "block"}
    parents = {6: (5,), 4: (5,)}
    known = {"classes": classes, "parents": parents, "reviews": REVIEWS}
    return Labelled.of(labels, axes="TYX", scale=scale, units=units, **known)


def divided() -> Labelled:
    """Discs over time: 1 moves, is away for a frame, and divides into 2 and 3."""
    labels = np.zeros((5, 30, 40), np.uint16)
    rows, columns = np.ogrid[:30, :40]
    for object_id, t, y, x in (
        *((1, 0, 8, 8), (1, 1, 8, 11), (1, 3, 8, 17)),
        *((2, 4, 5, 20), (3, 4, 20, 24), (9, 1, 24, 6)),
    ):
        labels[t][(rows - y) ** 2 + (columns - x) ** 2 <= 16] = object_id
    scale, units = (30.0, 0.5, 0.5), ("second", "micrometer", "micrometer")
    known = {"parents": {2: (1,), 3: (1,)}, "classes": {9: "ring"}, "reviews": {9: REVIEWS[1]}}
    return Labelled.of(labels, axes="TYX", scale=scale, units=units, **known)


def volume() -> Labelled:
    labels = np.stack([RING, RING * 0, RING[::-1], RING])
    return Labelled.of(labels, axes="ZYX", scale=(2.0, 0.5, 0.25), units="nanometer")


def volumes() -> Labelled:
    labels = np.stack([[RING, RING, RING * 0], [RING, RING[::-1], RING * (RING < 5)]])
    scale, units = (1.5, 2.0, 0.5, 0.25), ("minute", "um", "um", "um")
    return Labelled.of(labels, axes="TZYX", scale=scale, units=units)


CASES = tuple(
    Case(make.__name__.replace("_", " "), make)
    for make in (
        *(holes, not_consecutive, large_ids, empty, all_one, single_pixels),
        *(movie, volume, volumes),
    )
)


def many(n_a_side: int = 265, step: int = 6) -> np.ndarray:
    """Over 70,000 small objects that touch their neighbours at their corners."""
    cell = frame(".11111", "111111", "11..11", "111111", ".11111", "......")[:step, :step]
    ids = np.arange(1, n_a_side**2 + 1, dtype=np.uint32).reshape(n_a_side, n_a_side)
    return np.kron(ids, np.ones((step, step), np.uint32)) * np.tile(cell, (n_a_side, n_a_side))
