"""Convex hulls of many objects at once, of their pixels' centres: all numbers are whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import Runs
from napari_sam.engine.runs import reduced

PAIRS_AT_ONCE = 2**21  # of corners; 16 MB an array


@dataclass(frozen=True, eq=False)
class Hulls:
    """The corners of each object's hull, in order around it."""

    first: NDArray[np.intp]  # (K,) the first corner of each object
    y: NDArray[np.int64]  # (M,)
    x: NDArray[np.int64]  # (M,)

    @classmethod
    def of(cls, runs: Runs) -> Hulls:
        """The hulls of all objects of a frame."""
        objects = np.repeat(np.arange(len(runs)), runs.counts)
        new_row = np.ones(len(objects), bool)
        new_row[1:] = (np.diff(objects) != 0) | (np.diff(runs.rows) != 0)
        begins = np.flatnonzero(new_row)
        ends = np.append(begins, len(objects))[1:] - 1
        at, y = objects[begins], runs.rows[begins]
        left = _outer(at, y, runs.starts[begins])
        right = _outer(at, y, 1 - runs.stops[ends])  # mirrored: its outer side is the left one
        # Down along the left side, and up along the right one
        owner = np.concatenate([left[0], right[0]])
        turn = np.concatenate([left[1], -right[1]])
        side = np.repeat([0, 1], [len(left[0]), len(right[0])])
        order = np.lexsort((turn, side, owner))
        y = np.concatenate([left[1], right[1]])[order]
        x = np.concatenate([left[2], -right[2]])[order]
        return cls(np.searchsorted(owner[order], np.arange(len(runs))), y, x)

    @property
    def counts(self) -> NDArray[np.intp]:
        """Corners of each object."""
        return np.diff(self.first, append=len(self.y))

    @property
    def next(self) -> NDArray[np.intp]:
        """The corner after each one, around its object."""
        after = np.arange(1, len(self.y) + 1)
        after[self.first + self.counts - 1] = self.first
        return after

    def n_pixels(self) -> NDArray[np.int64]:
        """How many pixels have their centre in the hull, by Pick's theorem."""
        dy, dx = self.y[self.next] - self.y, self.x[self.next] - self.x
        twice = np.abs(reduced(np.add, self.y * dx - self.x * dy, self.first))
        on_edge = reduced(np.add, np.gcd(np.abs(dy), np.abs(dx)), self.first)
        return np.asarray((twice + on_edge) // 2 + 1, np.int64)

    def feret(self, size: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The longest and the shortest distance of two parallels around each object.

        Of whole pixels, as Fiji measures it: a single one is 1 wide and √2 long.

        Parameters
        ----------
        size
            Height and width of a pixel.
        """
        longest = np.zeros(len(self.first))
        # The hull of pixels has the edges of that of their centres, and upright and level ones
        height = self._span(self.y) * size[0]
        width = self._span(self.x) * size[1]
        shortest = np.minimum(height, width).astype(float)
        y, x = self.y * size[0], self.x * size[1]
        ny, nx = -(x[self.next] - x), y[self.next] - y  # across each edge
        norm = np.hypot(ny, nx)
        ny, nx = (np.divide(n, norm, where=norm > 0, out=np.zeros_like(norm)) for n in (ny, nx))
        thickness = np.abs(ny) * size[0] + np.abs(nx) * size[1]
        for objects, one, other in self._pairs():
            dy, dx = y[other] - y[one], x[other] - x[one]
            reach = np.hypot(np.abs(dy) + size[0], np.abs(dx) + size[1])
            np.maximum.at(longest, objects, reach)
            # By edge: how far the farthest corner is from it
            begins = np.flatnonzero(np.diff(one, prepend=-1))
            edges = one[begins]
            away = np.maximum.reduceat(np.abs(dy * ny[one] + dx * nx[one]), begins)
            across = np.where(norm[edges] > 0, away + thickness[edges], np.inf)
            np.minimum.at(shortest, objects[begins], across)
        return longest, shortest

    def _span(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many rows, or columns, each object extends over."""
        high, low = (reduced(each, values, self.first) for each in (np.maximum, np.minimum))
        return np.asarray(high - low + 1, np.int64)

    def _pairs(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]]:
        """All pairs of corners of one object, for some objects at a time: object, one, other."""
        ends = np.cumsum(self.counts.astype(np.int64) ** 2)
        begin = 0
        while begin < len(ends):
            before = ends[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, before + PAIRS_AT_ONCE)))
            counts = self.counts[begin:end]
            objects = np.repeat(np.arange(begin, end), counts)  # a corner
            corners = np.arange(self.first[begin], self.first[begin] + counts.sum())
            many = np.repeat(counts, counts)
            one = np.repeat(corners, many)
            within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
            other = np.repeat(self.first[objects], many) + within
            yield np.repeat(objects, many), one, other
            begin = end


def _outer(
    at: NDArray[np.intp], y: NDArray[np.int64], x: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]]:
    """Of the leftmost pixels of rows, from top to bottom, those that the hull has as corners.

    What lies on the line from the point before to the point after it, or to the right of that, is
    no corner, whichever points are left: all of them go at once, until there are none.
    """
    while True:
        inside = np.zeros(len(at), bool)
        if len(at) > 2:
            dy, dx = y[2:] - y[:-2], x[2:] - x[:-2]
            bulges = (x[1:-1] - x[:-2]) * dy < dx * (y[1:-1] - y[:-2])
            inside[1:-1] = ~bulges & (at[2:] == at[:-2])
        if not inside.any():
            return at, y, x
        at, y, x = at[~inside], y[~inside], x[~inside]
