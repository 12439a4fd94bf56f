"""Sets of pixels of one frame, each kept as the crop that holds it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Window: TypeAlias = tuple[int, int, int, int]  # y0, x0, y1, x1 in pixels of the frame, half open

NOWHERE: Window = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Region:
    """A set of pixels of one frame, kept as the crop that holds them. Equal by content."""

    top: int
    left: int
    pixels: NDArray[np.bool_]

    @classmethod
    def empty(cls) -> Region:
        """No pixel at all."""
        return cls(0, 0, np.zeros((0, 0), bool))

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_], top: int = 0, left: int = 0) -> Region:
        """The true pixels of a mask whose first pixel is at ``(top, left)`` of the frame."""
        rows = np.flatnonzero(mask.any(axis=1))
        if not len(rows):
            return cls.empty()
        y0, y1 = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(mask[y0:y1].any(axis=0))
        x0, x1 = int(columns[0]), int(columns[-1]) + 1
        return cls(top + y0, left + x0, mask[y0:y1, x0:x1].copy())

    def __bool__(self) -> bool:
        return bool(self.pixels.size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Region):
            return NotImplemented
        return self.window == other.window and np.array_equal(self.pixels, other.pixels)

    def __hash__(self) -> int:
        return hash((self.window, self.area))

    @property
    def window(self) -> Window:
        """Where the crop lies."""
        height, width = self.pixels.shape
        return (self.top, self.left, self.top + height, self.left + width)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.pixels.sum())

    def moved(self, dy: int, dx: int) -> Region:
        """The same pixels elsewhere, also outside of the frame."""
        return replace(self, top=self.top + dy, left=self.left + dx) if self else self

    def within(self, window: Window) -> NDArray[np.bool_]:
        """The region seen through a window that holds it all, ``(y1 - y0, x1 - x0)`` bool."""
        seen = np.zeros((window[2] - window[0], window[3] - window[1]), bool)
        if self.pixels.size:
            y, x = self.top - window[0], self.left - window[1]
            seen[y : y + self.pixels.shape[0], x : x + self.pixels.shape[1]] = self.pixels
        return seen

    def chosen(self, which: NDArray[np.bool_]) -> Region:
        """Some of the pixels: one choice a pixel, row by row."""
        pixels = self.pixels.copy()
        pixels[pixels] = which
        return Region.from_mask(pixels, self.top, self.left)

    def united(self, other: Region) -> Region:
        """The pixels of either."""
        window = around(self, other)
        return Region.from_mask(self.within(window) | other.within(window), *window[:2])

    def without(self, other: Region) -> Region:
        """The pixels that are not the other's."""
        window = around(self, other)
        return Region.from_mask(self.within(window) & ~other.within(window), *window[:2])

    def common(self, other: Region) -> Region:
        """The pixels of both."""
        y0, x0 = np.maximum(self.window[:2], other.window[:2])
        y1, x1 = np.minimum(self.window[2:], other.window[2:])
        if y0 >= y1 or x0 >= x1:
            return Region.empty()
        mine, its = (
            region.pixels[y0 - region.top : y1 - region.top, x0 - region.left : x1 - region.left]
            for region in (self, other)
        )
        return Region.from_mask(mine & its, int(y0), int(x0))


def joined(regions: Iterable[Region]) -> Region:
    """The pixels of all regions."""
    parts = list(filter(None, regions))
    if len(parts) == 1:
        return parts[0]
    window = around(*parts)
    seen = np.zeros((window[2] - window[0], window[3] - window[1]), bool)
    for part in parts:
        top, left, bottom, right = np.subtract(part.window, (*window[:2], *window[:2]))
        seen[top:bottom, left:right] |= part.pixels
    return Region(*window[:2], seen) if parts else Region.empty()


def around(*regions: Region) -> Window:
    """The smallest window that holds all regions."""
    windows = [region.window for region in regions if region.pixels.size]
    if not windows:
        return NOWHERE
    tops, lefts, bottoms, rights = zip(*windows, strict=True)
    return (min(tops), min(lefts), max(bottoms), max(rights))
