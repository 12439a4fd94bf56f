"""Simulated clicks: where a careful annotator would click first, and next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


def depth(mask: Mask) -> NDArray[np.float32]:
    """Distance of each pixel to the outside of the mask, (H, W); beyond the image is outside."""
    depths = np.zeros(mask.shape, np.float32)
    if mask.any():
        window = ndimage.find_objects(mask.astype(np.uint8))[0]
        padded = np.pad(mask[window], 1)
        depths[window] = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    return depths


def interior_point(mask: Mask) -> tuple[int, int]:
    """The most interior pixel (y, x), the first in reading order: where the depth is greatest."""
    y, x = np.unravel_index(depth(mask).argmax(), mask.shape)
    return int(y), int(x)


def random_point(mask: Mask, rng: np.random.Generator, sharpness: float = 1.0) -> tuple[int, int]:
    """A pixel (y, x) of the mask, drawn with a probability that grows with its depth."""
    weights = depth(mask).ravel() ** sharpness * mask.ravel()
    cumulative = np.cumsum(weights, dtype=np.float64)
    drawn = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
    y, x = np.unravel_index(min(int(drawn), mask.size - 1), mask.shape)
    return int(y), int(x)


def corrective_click(predicted: Mask, truth: Mask) -> tuple[tuple[int, int], int]:
    """The next click ((y, x), label): the most interior pixel of the deeper error.

    Positive (1) where the object was missed, negative (0) where the ground was taken. With nothing
    to correct, the object's most interior pixel again.
    """
    missed, taken = depth(truth & ~predicted), depth(predicted & ~truth)
    if max(missed.max(), taken.max()) == 0:
        return interior_point(truth), 1
    wrong, label = (missed, 1) if missed.max() >= taken.max() else (taken, 0)
    y, x = np.unravel_index(wrong.argmax(), wrong.shape)
    return (int(y), int(x)), label


def bounding_box(mask: Mask) -> tuple[int, int, int, int]:
    """The tight box (y0, x0, y1, x1) of a mask that is not empty, its last pixels inside."""
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(ys[0]), int(xs[0]), int(ys[-1]), int(xs[-1])
