"""A part of a frame that is looked at by itself, because the whole is too large for the network.

Crops lie on a grid, so that prompts near each other share one and its embedding is used again.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

LONG_SIDE = 1024  # the longer side of the input of every Segment Anything network
STEPS = 2  # of the grid to a side of a crop: half of a crop is in the next one as well
FINE_STEPS = 4  # for what is on screen, which is to be in the middle
MARGIN = 1 / 8  # of its side that a crop shows around what it was made for
WHOLE = 1.5  # a crop that would be all but a strip of the frame is all of it

Box: TypeAlias = tuple[float, float, float, float]
"""``y0, x0, y1, x1`` in frame pixels."""


class Crop(NamedTuple):
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right``, the last ones not included."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """``(h, w)`` in pixels of the frame."""
        return self.bottom - self.top, self.right - self.left

    @property
    def long_side(self) -> int:
        """The longer of its sides; that is what becomes the long side of the input."""
        return max(self.shape)

    def holds(self, box: Box, frame_shape: tuple[int, int]) -> bool:
        """Whether a box, cut at the frame's border, is inside with some margin around it.

        Where the crop ends with the frame there is no margin.
        """
        margin = MARGIN * self.long_side
        height, width = frame_shape
        return (
            (self.top == 0 or box[0] >= self.top + margin)
            and (self.left == 0 or box[1] >= self.left + margin)
            and (self.bottom == height or box[2] <= self.bottom - 1 - margin)
            and (self.right == width or box[3] <= self.right - 1 - margin)
        )


def is_large(frame_shape: tuple[int, int], input_size: int = LONG_SIDE) -> bool:
    """Whether a frame ``(H, W)`` is larger than the input of a network."""
    return max(frame_shape) > input_size


def whole(frame_shape: tuple[int, int]) -> Crop:
    """All of a frame ``(H, W)``."""
    return Crop(0, 0, *frame_shape)


def crop_around(box: Box, side: int, frame_shape: tuple[int, int], steps: int = STEPS) -> Crop:
    """The crop of the grid that has a box most in its middle.

    Parameters
    ----------
    box
        ``(y0, x0, y1, x1)`` in frame pixels.
    side
        Pixels that a crop is long and wide, where the frame is; doubled until the box is inside
        with some margin.
    frame_shape
        ``(H, W)``. A crop that would be nearly as long is the whole frame.
    steps
        Of the grid to a side of a crop.
    """
    while WHOLE * side < max(frame_shape):
        rows, columns = (
            _span((box[axis] + box[axis + 2]) / 2, side, frame_shape[axis], side // steps)
            for axis in (0, 1)
        )
        crop = Crop(rows[0], columns[0], rows[1], columns[1])
        if crop.holds(box, frame_shape):
            return crop
        side *= 2
    return whole(frame_shape)


def _span(middle: float, side: int, size: int, step: int) -> tuple[int, int]:
    """The first pixel of a crop on one axis, and the first one behind it."""
    start = round((middle + 0.5 - side / 2) / step) * step
    start = min(max(0, start), max(0, size - side))
    return start, min(start + side, size)
