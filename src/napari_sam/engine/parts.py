"""A window of a frame, seen as a frame of its own: only its pixels are read, at one reduction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contrast import area_mean, to_rgb
from .crop import LONG_SIDE, is_large
from .frames import REDUCING_GAP, FrameIndex, FrameStack
from .tiles import Window

ALMOST = 1.01  # levels of odd sizes are a little more than twice as small


@dataclass(frozen=True, eq=False)
class FramePart(FrameStack):
    """A window of the frames of a stack, which have the same indices. Made by :meth:`of`."""

    reduction: float = 1.0
    shrunk: float = 1.0  # of that, what the level read brings with it

    @classmethod
    def of(
        cls, stack: FrameStack, index: FrameIndex, window: Window, reduction: float
    ) -> FramePart:
        """A window of a frame, in pixels of the finest level.

        Parameters
        ----------
        reduction
            Pixels of the frame to one of the network's input. The coarsest level that is as fine
            is read.

        Black and white are those of the whole frame.
        """
        axes = [axis for axis, at in enumerate(index) if at is None]
        shrunk = [
            stack.shape[axes[0]] / stack.shape_at(level)[axes[0]]
            for level in range(len(stack.levels))
        ]
        fine = [n for n, each in enumerate(shrunk) if each <= reduction * ALMOST]
        chosen = max(fine, default=0)
        levels = [_windowed(stack, level, axes, window) for level in dict.fromkeys((0, chosen))]
        said = {each.name: getattr(stack, each.name) for each in fields(FrameStack) if each.init}
        said |= {"levels": tuple(levels), "fixed_limits": stack.overall_limits(index)}
        return cls(**said, reduction=reduction, shrunk=shrunk[chosen])

    def frame(self, index: FrameIndex, *, long_side: int | None = LONG_SIDE) -> NDArray[np.uint8]:
        """Read the window as ``(h, w, 3)`` uint8, at most twice as large as the input."""
        pixels = self._read(index, long_side)
        if long_side is not None:
            pixels = area_mean(pixels, int(self.reduction / self.shrunk / REDUCING_GAP))
        return to_rgb(pixels, self.overall_limits(index), mean=self.mean)

    def input_side(self, index: FrameIndex) -> int:
        """Pixels of the network's input that the longer side becomes."""
        return max(1, round(max(self.frame_shape_of(index)) / self.reduction))

    def _level(self, y: int, x: int, long_side: float | None) -> int:
        return 0 if long_side is None else len(self.levels) - 1


@dataclass(frozen=True, eq=False)
class _Window:
    """Some rows and columns of an array, read when they are indexed."""

    array: Any
    spans: dict[int, tuple[int, int]]  # by axis: the first, and the end

    @property
    def shape(self) -> tuple[int, ...]:
        sizes = enumerate(self.array.shape)
        return tuple(
            self.spans[axis][1] - self.spans[axis][0] if axis in self.spans else int(size)
            for axis, size in sizes
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        return dtype

    def __getitem__(self, where: tuple[int | slice, ...]) -> Any:
        return self.array[
            tuple(
                slice(*self.spans[axis]) if axis in self.spans else at
                for axis, at in enumerate(where)
            )
        ]


def is_blank(stack: FrameStack, index: FrameIndex, *, sampled: bool = False) -> bool:
    """Whether all pixels of a frame look the same, so that nothing is to be found there.

    Of a large frame only ``sampled`` pixels are asked, and these only if that is enough: objects
    may be where nobody has looked.
    """
    if is_large(stack.frame_shape_of(index)) and not isinstance(stack, FramePart):
        return sampled and all(low == high for low, high in stack.overall_limits(index))
    shown = stack.frame(index)
    return bool((shown == shown[0, 0]).all())


def _windowed(stack: FrameStack, level: int, axes: Sequence[int], window: Window) -> _Window:
    """The part of a level that shows a window of the finest one, along the axes of the frame."""
    spans = {}
    for axis, first, end in zip(axes, window[:2], window[2:], strict=True):
        size, full = stack.shape_at(level)[axis], stack.shape[axis]
        begin = min(size - 1, math.floor(first * size / full + 0.5))
        after = max(begin + 1, min(size, math.floor(end * size / full + 0.5)))
        colours = stack.colour_axis
        spans[axis if colours is None or axis < colours else axis + 1] = (begin, after)
    return _Window(stack.levels[level], spans)
