"""Small holes and small islands of a found object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .found import FoundObject

NEIGHBOURS = np.ones((3, 3), bool)  # regions hang together at corners as well


def without_small_regions(
    found: FoundObject, least: int, frame_shape: tuple[int, int]
) -> FoundObject:
    """The same object with its holes below an area filled, and its islands below it removed.

    Of islands that are all small the largest stays.

    Parameters
    ----------
    least
        Pixels from which on a hole or an island stays.
    frame_shape
        ``(H, W)``: at its border a hole is bounded by it.
    """
    y0, x0, y1, x1 = found.window
    height, width = frame_shape
    around = ((int(y0 > 0), int(y1 < height)), (int(x0 > 0), int(x1 < width)))
    mask = np.pad(found.mask, around)
    outside = np.pad(np.zeros_like(found.mask), around, constant_values=True)

    regions, sizes = _regions(~mask)
    sizes[regions[outside]] = height * width
    filled = mask | (sizes < least)[regions] & ~mask
    regions, sizes = _regions(filled)
    sizes[0] = 0
    stays = sizes >= least
    stays[sizes.argmax()] = True
    tidied = stays[regions] & filled
    if (tidied == mask).all():
        return found
    return found.with_mask(tidied, y0 - around[0][0], x0 - around[1][0])


def _regions(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Regions of a mask, 0 for what is none, and the pixels of each."""
    regions, n = ndimage.label(mask, NEIGHBOURS)
    return regions, np.bincount(regions.ravel(), minlength=n + 1)
