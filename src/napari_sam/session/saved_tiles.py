"""Tiles of huge frames: of their labels, those tiles are saved in which something changed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TypeAlias

from .region import Window

TileIndex: TypeAlias = tuple[int, int]  # its row and its column

SIDE = 2048  # pixels
MOST_PIXELS = 2**24  # of a frame that is saved as a whole


def is_tiled(frame_shape: tuple[int, int]) -> bool:
    """Whether the labels of a frame are saved in tiles."""
    return math.prod(frame_shape) > MOST_PIXELS


def tiles_in(window: Window) -> Iterator[TileIndex]:
    """The tiles that a window of a frame touches."""
    top, left, bottom, right = window
    rows, columns = (
        range(start // SIDE, -(-end // SIDE)) for start, end in ((top, bottom), (left, right))
    )
    return itertools.product(rows, columns)


def window_of(tile: TileIndex | None, frame_shape: tuple[int, int]) -> Window:
    """The pixels of a tile; of ``None`` the whole frame.

    Raises
    ------
    ValueError
        If there is no such tile.
    """
    height, width = frame_shape
    if tile is None:
        return (0, 0, height, width)
    top, left = tile[0] * SIDE, tile[1] * SIDE
    if not (0 <= top < height and 0 <= left < width):
        raise ValueError(f"{tile} is no tile of a frame of {height} × {width} pixels")
    return (top, left, min(top + SIDE, height), min(left + SIDE, width))
