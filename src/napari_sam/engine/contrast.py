"""Pixels of any type and number → 8 bit and a network's size, hot pixels and NaN or not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Limits: TypeAlias = tuple[tuple[float, float], ...]
"""``(low, high)``, shown as 0 and 255: one pair a channel, or a single pair for all of them."""

TAIL = 0.001  # share of pixels at either end that may be hot, dead or dust
SAMPLE_SIDE = 256  # limits are taken from about this many pixels squared
MEAN_ROWS = 32  # rows of means computed at once, so that their input stays in the cache
BLOCK_ROWS = 256  # rows brought to 8 bit at once, so that memory stays flat


def frame_limits(pixels: NDArray[Any], *, rgb: bool) -> Limits:
    """Robust limits of one frame ``(h, w, n)``, from a grid of its pixels.

    One pair a channel, or a single one for RGB. RGB of 8 bit keeps its whole range.
    """
    if rgb and pixels.dtype == np.uint8:
        return ((0.0, 255.0),)
    step = math.ceil(math.sqrt(pixels.shape[0] * pixels.shape[1]) / SAMPLE_SIDE)
    sample = pixels[::step, ::step]  # (~256, ~256, n)
    if rgb:
        return (robust_limits(sample),)
    return tuple(robust_limits(sample[..., i]) for i in range(sample.shape[-1]))


def robust_limits(values: NDArray[Any]) -> tuple[float, float]:
    """Values ``(low, high)`` to show as black and white, robust against hot pixels.

    A share of :data:`TAIL` is left out at either end, at least one pixel. Where nothing would be
    left between the limits, they are the lowest and the highest value; equal if there is but one.
    """
    if values.dtype == np.bool_:
        return (0.0, 1.0)
    ordered = np.sort(values[np.isfinite(values)], axis=None)
    if not ordered.size:
        return (0.0, 0.0)
    cut = math.ceil(TAIL * (ordered.size - 1))
    if not ordered[cut] < ordered[-1 - cut]:
        cut = 0
    return float(ordered[cut]), float(ordered[-1 - cut])


def stretch(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Bring values to 8 bit: ``low`` and below become 0, ``high`` and above 255, NaN 0.

    Never decreasing in the values. Equal limits make everything 0.
    """
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype == np.uint8 and (low, high) == (0, 255):
        return values
    if values.dtype.itemsize > 2 or values.dtype.kind not in "iu":
        stretched = np.empty(values.shape, np.uint8)
        for start in range(0, len(values), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            stretched[rows] = _stretched(values[rows], low, high)
        return stretched
    # Few enough values for a table: entry i is the value whose bits read i
    unsigned = np.dtype(f"u{values.dtype.itemsize}")
    every_value = np.arange(np.iinfo(unsigned).max + 1, dtype=unsigned).view(values.dtype)
    return np.take(_stretched(every_value, low, high), values.view(unsigned))


def _stretched(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    if not low < high:
        return np.zeros(values.shape, np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):
        share = (np.clip(values.astype(np.float64), low, high) - low) / (high - low)
    return (np.nan_to_num(share, nan=0.0) * 255 + 0.5).astype(np.uint8)


def area_mean(pixels: NDArray[Any], factor: int) -> NDArray[Any]:
    """Average ``factor`` × ``factor`` pixels ``(h, w, n)`` into one each, of the same type.

    The field stays the same: where a side is not a multiple of the factor, a mean reaches over a
    little more than ``factor`` pixels; a side of fewer pixels becomes one.
    """
    if factor < 2:
        return pixels
    exact = np.float32 if pixels.dtype.itemsize <= 2 or pixels.dtype == "f4" else np.float64
    high, wide = (min(factor, size) for size in pixels.shape[:2])
    height, width = pixels.shape[0] // high, pixels.shape[1] // wide
    columns = _parts(pixels.shape[1], wide, 0, width)
    means = np.empty((height, width, *pixels.shape[2:]), pixels.dtype)
    for start in range(0, height, MEAN_ROWS):
        stop = min(start + MEAN_ROWS, height)
        rows = _parts(pixels.shape[0], high, start, stop)
        narrow = _sum((pixels[part] for part in rows), exact)
        mean = _sum((narrow[:, part] for part in columns), exact) / (high * wide)
        means[start:stop] = mean if pixels.dtype.kind == "f" else np.rint(mean)
    return means


def _parts(size: int, factor: int, start: int, stop: int) -> list[slice | NDArray[np.intp]]:
    """Of the ``factor`` pixels under each of the means ``start`` to ``stop`` the first, the second…

    On an axis of ``size`` pixels.
    """
    n_means = size // factor
    if n_means * factor == size:
        return [slice(start * factor + i, stop * factor, factor) for i in range(factor)]
    pitch = size / (n_means * factor)
    first = np.arange(start, stop) * factor
    return [((first + i + 0.5) * pitch).astype(np.intp) for i in range(factor)]


def _sum(parts: Iterable[NDArray[Any]], exact: type[np.floating[Any]]) -> NDArray[Any]:
    remaining = iter(parts)
    total = next(remaining).astype(exact)
    for part in remaining:
        total += part
    return total


def to_rgb(pixels: NDArray[Any], limits: Limits, *, mean: bool = False) -> NDArray[np.uint8]:
    """Stretch and mix ``(h, w, n)`` of any type to ``(h, w, 3)`` uint8.

    Grey is in memory once: its three channels are views of one, not to be written to.
    """
    if len(limits) == 1:
        planes = stretch(pixels, *limits[0])
    else:
        stretched = [stretch(pixels[..., i], *pair) for i, pair in enumerate(limits)]
        planes = np.stack(stretched, axis=-1)
    if planes.shape[-1] == 3 and not mean:
        return np.ascontiguousarray(planes)
    grey = planes
    if planes.shape[-1] > 1:
        grey = np.rint(planes.mean(axis=-1, keepdims=True)).astype(np.uint8)
    if planes.shape[-1] == 2 and not mean:
        return np.concatenate([planes, grey], axis=-1)
    return np.broadcast_to(grey, (*grey.shape[:2], 3))


def resize_longest_side(rgb: NDArray[np.uint8], long_side: int) -> NDArray[np.uint8]:
    """Bilinear with antialiasing, by the reference implementation's library and rounding."""
    height, width = rgb.shape[:2]
    scale = long_side / max(height, width)
    new_width, new_height = (max(1, int(side * scale + 0.5)) for side in (width, height))
    is_grey = rgb.strides[-1] == 0  # three views of one channel
    image = Image.fromarray(rgb[..., 0] if is_grey else rgb)
    resized = np.array(image.resize((new_width, new_height), Image.Resampling.BILINEAR))
    return np.repeat(resized[..., None], 3, axis=-1) if is_grey else resized


def cut(rgb: NDArray[np.uint8], edges: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """The part between edges ``(y0, x0, y1, x1)``, counted from the first edge of the picture.

    Edges within pixels move what is seen by less than one of them, by linear interpolation.
    """
    y0, x0, y1, x1 = edges
    height, width = rgb.shape[:2]
    if (y0, x0, y1, x1) == (0, 0, height, width):
        return rgb
    size = (max(1, round(x1 - x0)), max(1, round(y1 - y0)))
    image = Image.fromarray(np.ascontiguousarray(rgb))
    return np.array(image.resize(size, Image.Resampling.BILINEAR, box=(x0, y0, x1, y1)))
