"""Labels as runs: the pixels of each object, row by row. What is counted of them takes no loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]


def reduced(reduce: np.ufunc, values: Numbers, first: NDArray[np.intp]) -> Numbers:
    """Values reduced in groups that follow one another, of which the first of each is given."""
    return reduce.reduceat(values, first) if len(first) else values[:0]


@dataclass(frozen=True, eq=False)
class Runs:
    """The objects of one frame ``(H, W)``, or of a volume, as horizontal runs of pixels.

    Runs are sorted by object, and within an object from top to bottom and from left to right.
    """

    shape: tuple[int, ...]  # of the labels
    ids: NDArray[np.int64]  # (K,) objects, rising
    first: NDArray[np.intp]  # (K,) the first run of each object
    rows: NDArray[np.int64]  # (N,) of a volume: counted through all its slices
    starts: NDArray[np.int64]  # (N,) the first column
    stops: NDArray[np.int64]  # (N,) the column after the last one
    order: NDArray[np.intp]  # (N,) where a run comes when all objects are read row by row

    @classmethod
    def of(cls, labels: NDArray[Any]) -> Runs:
        """The runs of labels ``(…, H, W)``; 0 is the background."""
        width = labels.shape[-1]
        flat = np.ascontiguousarray(labels).ravel()
        begins = np.ones(flat.size, bool)
        np.not_equal(flat[1:], flat[:-1], out=begins[1:])
        begins[::width] = True
        starts = np.flatnonzero(begins)
        stops = np.append(starts[1:], flat.size)
        ids = flat[starts]
        inside = ids != 0
        starts, stops, ids = starts[inside], stops[inside], ids[inside].astype(np.int64)
        order = np.argsort(ids, kind="stable")
        ids, starts, stops = ids[order], starts[order], stops[order]
        first = np.flatnonzero(np.diff(ids, prepend=-1)) if ids.size else np.zeros(0, np.intp)
        rows = starts // max(width, 1)
        offset = rows * width
        return cls(labels.shape, ids[first], first, rows, starts - offset, stops - offset, order)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Pixels of each run."""
        return self.stops - self.starts

    @property
    def counts(self) -> NDArray[np.intp]:
        """Runs of each object."""
        return np.diff(self.first, append=len(self.rows))

    def total(self, values: Numbers) -> Numbers:
        """The sum over the runs of each object."""
        return reduced(np.add, values, self.first)

    def lowest(self, values: Numbers) -> Numbers:
        """The lowest value among the runs of each object."""
        return reduced(np.minimum, values, self.first)

    def highest(self, values: Numbers) -> Numbers:
        """The highest value among the runs of each object."""
        return reduced(np.maximum, values, self.first)
