"""A frame of any size as a grid of tiles: each looked at with a halo, each object owned by one.

The core of a tile is its own; the halo around it is seen as well, so that an object at the edge of
the core, and its neighbours, are seen whole. Cores and halos are multiples of an eighth of the
network's input: a convolutional network then gives the same for a pixel in every tile that shows it
far enough from the edge.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

Window: TypeAlias = tuple[int, int, int, int]  # y0, x0, y1, x1 in pixels of the frame, half open

PARTS = 8  # of the input's side: one is the halo on each side, the others are the core
KNOWN_SIZE = 40.0  # pixels of the input: diameter of cells that networks segment well
FINEST = 0.25  # reduction: nothing is magnified by more than four
ONE_PASS = 1.5  # times the reduction wanted, up to which a frame is looked at in one piece


@dataclass(frozen=True)
class Tile:
    """One part of a frame: the core that it owns, and all that it shows."""

    nth: int  # row by row
    core: Window
    window: Window

    def owns(self, point: tuple[float, float]) -> bool:
        """Whether a point, yx in the frame, is in the core; its upper and left edges belong."""
        y0, x0, y1, x1 = self.core
        return y0 <= point[0] < y1 and x0 <= point[1] < x1

    def cuts(self, window: Window) -> bool:
        """Whether something ends where the tile ends, and the frame does not.

        A tile ends with the frame where its core does.
        """
        return any(
            here == edge != core
            for here, edge, core in zip(window, self.window, self.core, strict=True)
        )


@dataclass(frozen=True)
class Tiling:
    """All tiles of a frame.

    Attributes
    ----------
    frame_shape
        ``(H, W)``.
    reduction
        Pixels of the frame to one of the network's input; a power of two.
    core, halo
        Pixels of the frame: side of a core, and what is seen around it.
    """

    frame_shape: tuple[int, int]
    reduction: float
    core: int
    halo: int

    @classmethod
    def of(
        cls, frame_shape: tuple[int, int], reduction: float, input_size: int, core_parts: int = 6
    ) -> Tiling:
        """Tiles of which each fills the input of a network.

        Parameters
        ----------
        input_size
            Pixels of the input's longer side.
        core_parts
            Eighths of the input that a core takes; the halo always takes one on each side.
        """
        part = max(1, round(input_size / PARTS * reduction))
        return cls(frame_shape, reduction, core_parts * part, part)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        height, width = self.frame_shape
        return math.ceil(height / self.core), math.ceil(width / self.core)

    def __len__(self) -> int:
        return math.prod(self.grid)

    def __iter__(self) -> Iterator[Tile]:
        """Row by row."""
        rows, columns = self.grid
        for row, column in product(range(rows), range(columns)):
            yield self.tile(row, column)

    def tile(self, row: int, column: int) -> Tile:
        """The tile at a place of the grid."""
        (y0, y1, top, bottom), (x0, x1, left, right) = (
            self._span(at, size) for at, size in zip((row, column), self.frame_shape, strict=True)
        )
        nth = row * self.grid[1] + column
        return Tile(nth, (y0, x0, y1, x1), (top, left, bottom, right))

    def within(self, window: Window) -> Iterator[Tile]:
        """The tiles whose cores share pixels with a window."""
        y0, x0, y1, x1 = window
        rows, columns = self.grid
        for row, column in product(
            range(max(0, y0 // self.core), min(rows, -(-y1 // self.core))),
            range(max(0, x0 // self.core), min(columns, -(-x1 // self.core))),
        ):
            yield self.tile(row, column)

    def _span(self, nth: int, size: int) -> tuple[int, int, int, int]:
        """Of one axis: where a core begins and ends, and where its window does."""
        first, last = nth * self.core, min((nth + 1) * self.core, size)
        window_end = (nth + 1) * self.core + self.halo
        return first, last, max(0, first - self.halo), min(window_end, size)


def reduction_for(cell_size: float) -> float:
    """Pixels of a frame to one of the input, so that cells have a size the networks know.

    Parameters
    ----------
    cell_size
        Diameter of the cells in pixels of the frame.
    """
    wanted: float = 2.0 ** round(math.log2(cell_size / KNOWN_SIZE))
    return max(FINEST, wanted)


def fits_at_once(frame_shape: tuple[int, int], reduction: float, input_size: int) -> bool:
    """Whether a frame is as well looked at in one piece as in tiles of that reduction."""
    return max(frame_shape) <= max(1.0, ONE_PASS * reduction) * input_size
