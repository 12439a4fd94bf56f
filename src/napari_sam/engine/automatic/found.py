"""One object that was found in a frame without a prompt of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.features import values_at
from napari_sam.engine.prompts import Point
from napari_sam.engine.tiles import Tile, Window

WHITE = 255  # of frames as they are shown to the network

Dropped: TypeAlias = Literal[
    "low score",
    "low stability",
    "unlike the examples",
    "too small",
    "too large",
    "not round",
    "too dark",
    "too bright",
    "at the border",
    "outside",
    "cut off",  # it ends where the part of the frame ends that it was looked for in
    "duplicate",
    "cut by a neighbour",
    "annotated already",
    "in another tile",  # which owns it, and decides
]
"""Why an object does not stand."""


class Annotated(Protocol):
    """Object ids of a frame, 0 where there is none: an array, or what reads windows of one."""

    def __getitem__(self, where: tuple[slice, slice], /) -> NDArray[np.integer]: ...


@dataclass(frozen=True, eq=False)
class FoundObject:
    """A proposal: its mask, what speaks for it, and why it was dropped, if it was.

    Made by :meth:`unseen` and :meth:`with_mask`. A mask takes a bit a pixel.
    """

    window: Window  # around its pixels
    bits: NDArray[np.uint8]  # its pixels in the window, row by row, packed
    area: int  # pixels
    score: float  # IoU prediction; of seeds, what it is worth all in all
    stability: float  # stability score
    point: Point  # yx in frame pixels: the click it came from
    method: Literal["grid", "seeds"]
    crop: Window | None = None  # the part of the frame that the network saw; None: all of it
    cut_off: bool = False  # whether it ends where that part ends, inside the frame
    dropped: Dropped | None = None
    likeness: float | None = None  # how like the examples, if it was compared with any
    intensity: float | None = None  # mean over its pixels as shown, 0 black, 1 white; None: unknown
    tile: Tile | None = None  # the part of a frame larger than the input; None: all was one

    @classmethod
    def unseen(
        cls,
        point: Point,
        method: Literal["grid", "seeds"],
        *,
        score: float,
        stability: float = 0.0,
        crop: Window | None = None,
    ) -> Self:
        """A proposal of which no mask is known: it never stands.

        Parameters
        ----------
        point
            The click it came from, yx in frame pixels.
        score, stability
            IoU prediction and stability score.
        crop
            The part of the frame that the network saw; ``None``: all of it.
        """
        y, x = (int(at) for at in point)
        bits = np.zeros(0, np.uint8)
        return cls((y, x, y, x), bits, 0, score, stability, point, method, crop)

    def with_mask(self, mask: NDArray[np.bool_], top: int = 0, left: int = 0) -> Self:
        """The same with the true pixels of a mask whose first pixel lies at ``(top, left)``."""
        rows = np.flatnonzero(mask.any(axis=1))
        if not len(rows):
            return replace(self, bits=np.zeros(0, np.uint8), area=0)
        y0, y1 = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(mask[y0:y1].any(axis=0))
        x0, x1 = int(columns[0]), int(columns[-1]) + 1
        pixels = mask[y0:y1, x0:x1]
        return replace(
            self,
            window=(top + y0, left + x0, top + y1, left + x1),
            bits=np.packbits(pixels),
            area=int(np.count_nonzero(pixels)),
        )

    @property
    def rank(self) -> float:
        """What decides between objects that overlap: the likeness, or else the score."""
        return self.score if self.likeness is None else self.likeness

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Its pixels in its window, ``(y1 - y0, x1 - x0)``; without area ``(0, 0)``."""
        y0, x0, y1, x1 = self.window
        if not self.area:
            return np.zeros((0, 0), bool)
        flat = np.unpackbits(self.bits, count=(y1 - y0) * (x1 - x0))
        return flat.view(np.bool_).reshape(y1 - y0, x1 - x0)

    @property
    def where(self) -> tuple[slice, slice]:
        """Rows and columns of its window, to index a frame with."""
        y0, x0, y1, x1 = self.window
        return slice(y0, y1), slice(x0, x1)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """``y0, x0, y1, x1`` in frame pixels, at the outer edges of the outermost pixels."""
        y0, x0, y1, x1 = self.window
        return y0 - 0.5, x0 - 0.5, y1 - 0.5, x1 - 0.5

    @cached_property
    def roundness(self) -> float:
        """4 π area / perimeter², about 1 for a disc."""
        from skimage.measure import perimeter

        around = float(perimeter(np.pad(self.mask, 1)))
        return min(1.0, 4 * np.pi * self.area / around**2) if around else 1.0

    def seen_in(self, frame: NDArray[np.uint8], frame_shape: tuple[int, int]) -> Self:
        """The same with its intensity in a frame ``(h, w, 3)``, perhaps a smaller level of it."""
        if not self.area:
            return self
        values = values_at(frame, frame_shape, np.argwhere(self.mask) + self.window[:2])
        return replace(self, intensity=float(values.mean()) / WHITE)

    def moved(self, dy: int, dx: int) -> Self:
        """The same, as seen from a frame whose first pixel is elsewhere."""
        by = (dy, dx, dy, dx)
        y0, x0, y1, x1 = (at + step for at, step in zip(self.window, by, strict=True))
        crop = self.crop
        if crop is not None:
            crop = (crop[0] + dy, crop[1] + dx, crop[2] + dy, crop[3] + dx)
        point = (self.point[0] + dy, self.point[1] + dx)
        return replace(self, window=(y0, x0, y1, x1), point=point, crop=crop)

    def drop(self, reason: Dropped | None) -> Self:
        """The same, dropped for a reason, or standing."""
        return replace(self, dropped=reason)


def common_window(found: Sequence[FoundObject]) -> Window:
    """The smallest window of the frame that holds all objects."""
    if not found:
        return (0, 0, 0, 0)
    tops, lefts, bottoms, rights = zip(*(each.window for each in found), strict=True)
    return (min(tops), min(lefts), max(bottoms), max(rights))
