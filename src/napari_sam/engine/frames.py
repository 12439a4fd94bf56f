"""Frames: any array, its axes and a frame index → one ``(H, W, 3)`` uint8 frame.

Coordinates are those of the data: one number an axis, in the data's axis order, the centre of
the first pixel at 0. A frame is never transposed: of its two axes the one that comes first in the
data is y.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .axes import (
    checked_channels,
    checked_displayed,
    checked_index,
    checked_letters,
    count,
    find_colours,
    positions_of,
)
from .contrast import SAMPLE_SIDE, Limits, area_mean, cut, frame_limits, to_rgb
from .crop import LONG_SIDE, Crop
from .errors import FrameError
from .guard import decoding
from .levels import PATCHES, check_memory, checked_levels, patches, strides, window_in

FrameIndex: TypeAlias = tuple[int | None, ...]
"""One entry an axis without the colour axis; ``None`` on the two axes that span the frame."""

STILL_THERE = "Check that the image's file is still there and whole."
REDUCING_GAP = 2  # a mean may take a frame to twice the size wanted: the resize after it hides that


@dataclass(frozen=True, eq=False)
class FrameStack:
    """An image of any number of axes, seen as frames. Made by :meth:`from_array`.

    Only the frame requested is read, of one resolution level and of the channels in use. One
    channel is shown grey; two as red and green with their mean as blue; three as red, green and
    blue; more, or any where requested, as their mean in grey. Each channel is stretched by itself,
    RGB jointly; 8-bit RGB stays as it is, and an alpha channel is dropped.
    """

    levels: tuple[Any, ...]  # one picture at falling resolution, coordinates of the first
    displayed: tuple[int, int]  # y and x among the axes without colour
    colour_axis: int | None  # among all axes of the data
    channels: tuple[int, ...]  # positions on the colour axis that are shown
    rgb: bool
    fixed_limits: Limits | None
    letters: str = ""  # of the axes without colour, such as "TZYX"; none if they are not known
    mean: bool = False  # channels are shown as their mean in grey, not as colours
    _limits: dict[FrameIndex, Limits] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def from_array(
        cls,
        data: Any,
        *,
        axes: str | None = None,
        rgb: bool | None = None,
        displayed: tuple[int, int] | None = None,
        channel: int | Sequence[int] | None = None,
        limits: Sequence[float] | Sequence[Sequence[float]] | None = None,
        mean: bool = False,
    ) -> FrameStack:
        """See an array as frames.

        Parameters
        ----------
        data
            NumPy, dask or zarr array, or a sequence of them: one picture at several resolutions,
            the finest first.
        axes
            A letter an axis, such as ``"TZYX"``, ``"YXC"`` or ``"CYX"``: Y and X span the frame,
            C (or S, the samples of a TIFF) holds colours or channels, all others lead to a frame.
            Without letters the last two axes span the frame.
        rgb
            Whether the C or S axis (without letters, the last axis) holds red, green, blue and
            perhaps alpha. ``None``: yes if it is three or four long and is S, or the last axis, or
            without letters the last of exactly three axes.
        displayed
            The two axes that span the frame, counted without the colour axis; in any order.
        channel
            The channel or channels to show. ``None``: all.
        limits
            ``(low, high)`` shown as black and white, once or a channel, instead of robust ones.
        mean
            Show two or three channels as their mean in grey, not as colours.

        Raises
        ------
        FrameError
            If the array holds no picture, or the arguments do not fit it.
        """
        levels = checked_levels(data)
        shape = tuple(levels[0].shape)
        letters = checked_letters(axes, len(shape), rgb)
        colour_axis, is_rgb = find_colours(letters, shape, rgb)
        channels = checked_channels(channel, None if colour_axis is None else shape[colour_axis])
        is_rgb = is_rgb and channel is None
        spatial = [a for a in range(len(shape)) if a != colour_axis]
        names = letters and "".join(letters[axis] for axis in spatial)
        return cls(
            levels=levels,
            displayed=checked_displayed(displayed, names, len(spatial)),
            colour_axis=colour_axis,
            channels=(0, 1, 2) if is_rgb else channels,
            rgb=is_rgb,
            fixed_limits=_checked_limits(limits, 3 if is_rgb else len(channels)),
            letters=names or "",
            mean=mean,
        )

    @property
    def ndim(self) -> int:
        """Number of axes without the colour axis."""
        return len(self.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of the finest level along every axis without the colour axis."""
        return self.shape_at(0)

    @property
    def frame_shape(self) -> tuple[int, int]:
        """``(H, W)`` of a frame in pixels of the finest level."""
        return self.shape[self.displayed[0]], self.shape[self.displayed[1]]

    def frame_shape_of(self, index: FrameIndex) -> tuple[int, int]:
        """``(H, W)`` of the frame at an index that may span other axes than the displayed ones."""
        y, x = _span(checked_index(index, self.shape))
        return self.shape[y], self.shape[x]

    def input_side(self, index: FrameIndex) -> int | None:
        """Pixels that the longer side of a frame has in the input; ``None``: as many as it can."""
        return None

    def index(self, *leading: int) -> FrameIndex:
        """The frame at these positions on the leading axes: ``stack.index(2) == (2, None, None)``.

        Raises
        ------
        FrameError
            If there are too few or too many positions, or one is outside the stack.
        """
        if leading and self.ndim == 2:
            raise FrameError(
                f"A single image of shape {self.shape} has no frames to choose from. "
                "Leave the frame out, or give a stack."
            )
        if len(leading) != self.ndim - 2:
            raise FrameError(
                f"{count(len(leading), 'frame position')} given, but a frame of this image of "
                f"shape {self.shape} has {self.ndim - 2}. Give one for each axis besides y and x."
            )
        positions = iter(leading)
        return checked_index(
            tuple(None if a in self.displayed else next(positions) for a in range(self.ndim)),
            self.shape,
        )

    def indices(self) -> Iterator[FrameIndex]:
        """All frames in order, the last leading axis fastest."""
        positions = (
            (None,) if axis in self.displayed else range(size)
            for axis, size in enumerate(self.shape)
        )
        return iter(itertools.product(*positions))

    def locate(
        self, point_data: Sequence[float], *, displayed: tuple[int, int] | None = None
    ) -> tuple[FrameIndex, tuple[float, float]]:
        """The frame a point is in, and where in it: the one rounding of coordinates.

        Parameters
        ----------
        point_data
            One coordinate an axis without the colour axis, in pixels of the finest level.
        displayed
            The two axes that span the frame, if others than the stack's own.

        Returns
        -------
        index, point_yx
            The frame's index, rounded to the nearest one and halves up; and the point in the frame,
            not rounded and not necessarily inside it.

        Raises
        ------
        FrameError
            If the point has another number of axes, or is in no frame of the stack.
        """
        point = [float(coordinate) for coordinate in point_data]
        if len(point) != self.ndim or not all(map(math.isfinite, point)):
            raise FrameError(
                f"The point {tuple(point)} cannot be located in an image of shape {self.shape}. "
                f"Give {self.ndim} finite coordinates, one for each axis."
            )
        y, x = sorted(displayed or self.displayed)
        index = tuple(
            None if axis in (y, x) else round_half_up(at) for axis, at in enumerate(point)
        )
        return checked_index(index, self.shape), (point[y], point[x])

    def frame(self, index: FrameIndex, *, long_side: int | None = LONG_SIDE) -> NDArray[np.uint8]:
        """Read one frame as ``(h, w, 3)`` uint8.

        Parameters
        ----------
        index
            ``None`` on two axes, of which the first is y; they need not be the displayed ones.
        long_side
            How many pixels the longer side needs. The coarsest level that has them is read, and
            what is four times as long or more is averaged down to at least twice as long. So
            ``(h, w)`` may be smaller than :attr:`frame_shape`; both cover the same field.
            ``None``: every pixel.

        Raises
        ------
        FrameError
            If the index is outside the stack, or the frame cannot be read.
        """
        if long_side is not None and long_side < 1:
            raise FrameError(
                f"A longer side of {long_side} pixels shows nothing. Give 1 or more, or None for "
                "every pixel."
            )
        pixels = self._read(index, long_side)
        limits = self.fixed_limits or frame_limits(pixels, rgb=self.rgb)
        if long_side is not None:
            pixels = area_mean(pixels, max(pixels.shape[:2]) // (REDUCING_GAP * long_side))
        return to_rgb(pixels, limits, mean=self.mean)

    def limits(self, index: FrameIndex, *, long_side: int | None = LONG_SIDE) -> Limits:
        """Values that :meth:`frame` shows as 0 and 255: fixed limits, or robust ones of this frame.

        Robust limits leave out 0.1 % of the pixels at either end, NaN and infinity.
        """
        if self.fixed_limits is not None:
            return self.fixed_limits
        return frame_limits(self._read(index, long_side), rgb=self.rgb)

    def crop(
        self, index: FrameIndex, crop: Crop, *, long_side: int | None = LONG_SIDE
    ) -> NDArray[np.uint8]:
        """Read a part of one frame as ``(h, w, 3)`` uint8; nothing else of its pixels is read.

        It looks as in the frame: with the limits of :meth:`overall_limits`, not with its own.

        Parameters
        ----------
        index
            As for :meth:`frame`.
        crop
            In pixels of the finest level; inside the frame.
        long_side
            How many pixels the longer side of the crop needs: as for :meth:`frame`, a coarse level
            may do, and ``(h, w)`` be smaller than the crop.

        Raises
        ------
        FrameError
            If the index is outside the stack, or the pixels cannot be read.
        """
        frame_shape = self.frame_shape_of(index)
        needed = None if long_side is None else long_side * max(frame_shape) / crop.long_side
        level = self._level(*_span(index), needed)
        rows, columns, edges = window_in(crop, frame_shape, self._frame_shape_at(level, index))
        pixels = self._pixels(index, level, rows, columns)
        read = pixels.shape
        if long_side is not None:
            pixels = area_mean(pixels, max(read[:2]) // (REDUCING_GAP * long_side))
        y0, x0, y1, x1 = edges
        by_y, by_x = pixels.shape[0] / read[0], pixels.shape[1] / read[1]
        rgb = to_rgb(pixels, self.overall_limits(index), mean=self.mean)
        return cut(rgb, (y0 * by_y, x0 * by_x, y1 * by_y, x1 * by_x))

    def overall_limits(self, index: FrameIndex) -> Limits:
        """The values that a crop of a frame shows as 0 and 255, from samples of all of it."""
        if self.fixed_limits is not None:
            return self.fixed_limits
        if index not in self._limits:
            self._limits[index] = frame_limits(self._sample(index), rgb=self.rgb)
        return self._limits[index]

    def _sample(self, index: FrameIndex) -> NDArray[Any]:
        """Some pixels of all parts of a frame, ``(h, w, channels)``; few chunks are read for it."""
        level = self._level(*_span(checked_index(index, self.shape)), SAMPLE_SIDE)
        size = self._frame_shape_at(level, index)
        if isinstance(self.levels[level], np.ndarray):  # in memory, or mapped to it
            return self._pixels(index, level, *(slice(None, None, step) for step in strides(size)))
        if max(size) <= LONG_SIDE:
            return self._pixels(index, level)
        for n in PATCHES:
            parts = [self._pixels(index, level, *where) for where in patches(size, n)]
            sample = np.concatenate(parts)
            if (sample != sample[:1, :1]).any():
                break
        return sample

    def _read(self, index: FrameIndex, long_side: int | None) -> NDArray[Any]:
        """The pixels of one frame as they are stored, ``(h, w, channels)``."""
        return self._pixels(index, self._level(*_span(checked_index(index, self.shape)), long_side))

    def _pixels(
        self,
        index: FrameIndex,
        level: int,
        rows: slice = slice(None),
        columns: slice = slice(None),
    ) -> NDArray[Any]:
        """Pixels of one frame in one level as they are stored, ``(h, w, channels)``."""
        spans = iter((rows, columns))
        where: list[int | slice] = [
            next(spans) if position is None else int((position + 0.5) * size / full)
            for position, size, full in zip(index, self.shape_at(level), self.shape, strict=True)
        ]
        data = self.levels[level]
        size = self._frame_shape_at(level, index)
        check_memory(data, rows, columns, size, len(self.channels))
        at = ", ".join(map(str, positions_of(index)))
        with decoding(f"Frame {at}" if at else "The image", STILL_THERE):
            if self.colour_axis is None:
                return np.asarray(data[tuple(where)])[..., None]
            before, after = where[: self.colour_axis], where[self.colour_axis :]
            spans_before = sum(isinstance(position, slice) for position in before)
            planes = [
                np.moveaxis(np.asarray(data[(*before, part, *after)]), spans_before, -1)
                for part in _runs(self.channels)
            ]
            return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=-1)

    def _level(self, y: int, x: int, long_side: float | None) -> int:
        """The coarsest level whose frames are long enough."""
        if long_side is None:
            return 0
        sizes = [self.shape_at(level) for level in range(len(self.levels))]
        enough = [level for level, size in enumerate(sizes) if max(size[y], size[x]) >= long_side]
        return max(enough, default=0)

    def shape_at(self, level: int) -> tuple[int, ...]:
        """Size of a level along every axis without the colour axis."""
        sizes = enumerate(self.levels[level].shape)
        return tuple(int(size) for axis, size in sizes if axis != self.colour_axis)

    def _frame_shape_at(self, level: int, index: FrameIndex) -> tuple[int, int]:
        """``(h, w)`` of a frame in a level."""
        y, x = _span(index)
        size = self.shape_at(level)
        return size[y], size[x]


def round_half_up(coordinate: float) -> int:
    """The pixel a coordinate is in: the nearest, the upper one of two that are equally near."""
    below = math.floor(coordinate)
    return below + (coordinate - below >= 0.5)


def _span(index: FrameIndex) -> tuple[int, int]:
    y, x = (axis for axis, position in enumerate(index) if position is None)
    return y, x


def _runs(channels: tuple[int, ...]) -> list[slice]:
    """Slices that read these channels and no other: one if they are neighbours."""
    if channels == tuple(range(channels[0], channels[0] + len(channels))):
        return [slice(channels[0], channels[-1] + 1)]
    return [slice(channel, channel + 1) for channel in channels]


def _checked_limits(
    limits: Sequence[float] | Sequence[Sequence[float]] | None, n_channels: int
) -> Limits | None:
    if limits is None:
        return None
    pairs = np.asarray(limits, np.float64)
    if pairs.ndim == 1:
        pairs = pairs[None]
    if pairs.shape not in ((1, 2), (n_channels, 2)) or not (
        np.isfinite(pairs).all() and (pairs[:, 0] <= pairs[:, 1]).all()
    ):
        raise FrameError(
            f"The limits {limits} do not fit {count(n_channels, 'channel')}. Give one pair of "
            "finite numbers (low, high), or one for each channel shown."
        )
    return tuple((float(low), float(high)) for low, high in pairs)
