"""One picture at several resolutions: which of them to read, and what of it.

An axis of ``size`` pixels in a coarse level covers what ``full`` pixels cover in the finest: pixel
``i`` reaches from edge ``i * full / size`` to edge ``(i + 1) * full / size``, counted from the
frame's first edge, half a pixel before the centre of its first pixel.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .axes import count
from .contrast import SAMPLE_SIDE
from .crop import Crop
from .errors import FrameError

SHARE_OF_MEMORY = 0.5  # of the computer's, that the pixels of one frame may take
UNKNOWN_MEMORY = 16 * 2**30  # bytes; systems that do not say how much they have
# A frame that is not in memory is sampled at 8 × 8 places; where these show one value only, as
# between few cells, at more
PATCHES = (8, 32)
PATCH = 32  # pixels of a place along y and x

ROUNDING = 1e-6  # of a pixel, by which an edge may be off

Rectangle = tuple[float, float, float, float]  # y0, x0, y1, x1 from edge to edge


def window_in(
    crop: Crop, full: tuple[int, int], size: tuple[int, int]
) -> tuple[slice, slice, Rectangle]:
    """The pixels of a level that show a crop, and where its edges lie among them.

    Parameters
    ----------
    crop
        In pixels of the finest level.
    full, size
        ``(H, W)`` of the frame in the finest level, and in this one.

    Returns
    -------
    rows, columns, edges
        Whole pixels of the level; and the crop's edges, counted from the first of these.
    """
    tops, bottoms = (
        [at * n / whole for at, n, whole in zip(corner, size, full, strict=True)]
        for corner in (crop[:2], crop[2:])
    )
    rows, columns = (
        slice(math.floor(low + ROUNDING), math.ceil(high - ROUNDING))
        for low, high in zip(tops, bottoms, strict=True)
    )
    y, x = rows.start, columns.start
    return rows, columns, (tops[0] - y, tops[1] - x, bottoms[0] - y, bottoms[1] - x)


def strides(size: tuple[int, int]) -> tuple[int, int]:
    """Steps along y and x with which a frame ``(h, w)`` is sampled where that costs little."""
    step = max(1, math.isqrt(size[0] * size[1]) // SAMPLE_SIDE)
    return min(step, size[0]), min(step, size[1])


def patches(size: tuple[int, int], n: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of n × n places all over a frame ``(h, w)``, all of them of one size."""
    height, width = (min(PATCH, side) for side in size)
    for y in np.linspace(0, size[0] - height, n).astype(int).tolist():
        for x in np.linspace(0, size[1] - width, n).astype(int).tolist():
            yield slice(y, y + height), slice(x, x + width)


def checked_levels(data: Any) -> tuple[Any, ...]:
    """The arrays of one picture at falling resolution, the finest first.

    Raises
    ------
    FrameError
        If they are not images, or not of one picture.
    """
    several = isinstance(data, Sequence) and all(hasattr(level, "shape") for level in data)
    levels = tuple(data) if several else (data,)
    levels = tuple(level if hasattr(level, "dtype") else np.asarray(level) for level in levels)
    if not levels:
        raise FrameError("An empty list holds no image. Give an array of at least two axes.")
    finest = levels[0]
    _check_pixels(finest)
    for number, (finer, coarser) in enumerate(itertools.pairwise(levels), start=1):
        if len(coarser.shape) != len(finer.shape) or not (
            all(c <= f for c, f in zip(coarser.shape, finer.shape, strict=True))
            and tuple(coarser.shape) != tuple(finer.shape)
        ):
            raise FrameError(
                f"Level {number} of this list has the shape {tuple(coarser.shape)}, the one "
                f"before {tuple(finer.shape)}. A list is one image at falling resolution, the "
                "finest first; make frames of equal size a stack with numpy.stack."
            )
    return levels


def _check_pixels(array: Any) -> None:
    shape = tuple(array.shape)
    if len(shape) < 2:
        raise FrameError(
            f"An array of {count(len(shape), 'axis', 'axes')}, shape {shape}, is not an image. "
            "Give at least two axes, y and x."
        )
    if not all(size >= 1 for size in shape):  # dask's unknown sizes are NaN
        raise FrameError(
            f"This image is empty or of unknown size: its shape is {shape}. Give an array with at "
            "least one pixel on every axis; a dask array learns its size by compute_chunk_sizes()."
        )
    if getattr(array.dtype, "kind", "O") not in "buif":
        raise FrameError(
            f"An image of type {array.dtype} cannot be shown. Give integers, floats or booleans; "
            "of complex numbers, for instance, the magnitude: abs(image)."
        )


def check_memory(
    data: Any, rows: slice, columns: slice, size: tuple[int, int], n_channels: int
) -> None:
    """Notice pixels that are too many to be read at once, before memory is requested.

    Raises
    ------
    FrameError
        If these rows and columns of a frame ``(h, w)`` take more than a part of the memory.
    """
    if isinstance(data, np.ndarray):  # it is in memory, or mapped to it
        return
    height, width = (
        len(range(*part.indices(n))) for part, n in zip((rows, columns), size, strict=True)
    )
    nbytes = height * width * n_channels * data.dtype.itemsize
    if nbytes > SHARE_OF_MEMORY * _memory():
        raise FrameError(
            f"A frame of {height} × {width} pixels takes {nbytes / 2**30:.0f} GB, more than "
            "this computer can read at once. Save the image with several resolutions (a "
            "pyramid), or give a part of it."
        )


def _memory() -> int:
    """Bytes of memory that this computer has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return UNKNOWN_MEMORY
