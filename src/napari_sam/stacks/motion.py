"""Where an object has moved from one frame to the next: its picture is looked for nearby.

Normalised cross-correlation with a masked template (Lewis 1995, "Fast normalized
cross-correlation"): the object and a rim around it, at every place within its own diameter.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from napari_sam.engine.contrast import Limits
from napari_sam.session.region import Region, Window

SAMPLES = 24  # across an object: enough to know it by, few enough to search quickly
MOST_SAMPLES = 64  # along the longer side of a long object's window
RIM = 2  # samples around an object that belong to its picture: its edge tells most
REACH = 1.0  # how far to look, in diameters of the object
TETHER = 0.5  # a place so many diameters from where it is expected counts exp(-1/2) less likely
FLAT = 1.0  # grey values: what varies less has no picture to look for
DRIFT_SIDE = 128  # of the thumbnails that are compared to find the drift of a whole frame
MOST_DRIFT = 0.1  # of the frame's sides
CLEARER = 0.05  # by so much must quarters of a frame correlate better once they are shifted,
MOST_QUARTERS = 3  # and so many of them: else an object has moved, not the frame


class Motion(NamedTuple):
    """How far an object moved, yx in frame pixels, and how alike its picture still is."""

    y: float
    x: float
    similarity: float  # correlation, -1 to 1


class Picture:
    """A frame in small, padded so that windows may reach over its border.

    Parameters
    ----------
    pixels
        ``(h, w, 3)`` uint8; it covers the whole frame.
    frame_shape
        ``(H, W)`` of the frame.
    limits
        What is shown as 0 and 255, so that frames of other limits can be compared with this one.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        frame_shape: tuple[int, int],
        limits: Limits = ((0.0, 255.0),),
    ) -> None:
        grey = pixels.mean(axis=2, dtype=np.float32)
        self.black, self.white = map(float, np.mean(limits, axis=0))
        self.frame_shape = frame_shape
        self.scale = pixels.shape[0] / frame_shape[0], pixels.shape[1] / frame_shape[1]
        self.padding = max(grey.shape)
        self.image = Image.fromarray(np.pad(grey, self.padding, mode="edge"))

    def sample(
        self, top: float, left: float, step: float, shape: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Grey values on a grid of ``shape``, its upper left corner at a pixel of the frame."""
        y0, x0 = top * self.scale[0] + self.padding, left * self.scale[1] + self.padding
        y1 = y0 + shape[0] * step * self.scale[0]
        x1 = x0 + shape[1] * step * self.scale[1]
        width, height = self.image.size
        box = (max(0.0, x0), max(0.0, y0), min(x1, width), min(y1, height))
        resized = self.image.resize(shape[::-1], Image.Resampling.BILINEAR, box=box)
        return np.asarray(resized, np.float32)

    def brightness(
        self, window: Window, sigma: float, *, stretched: bool = False
    ) -> NDArray[np.float32]:
        """A window of the frame, slightly smoothed: one value for each pixel.

        In the image's own units, or ``stretched`` by the frame's own limits, 0 to 255.
        """
        y0, x0, y1, x1 = window
        grey = self.sample(y0, x0, 1.0, (y1 - y0, x1 - x0))
        values: NDArray[np.float32] = ndimage.gaussian_filter(grey, sigma)
        if not stretched:
            values = self.black + values * np.float32((self.white - self.black) / 255)
        return values

    def thumbnail(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """The whole frame in small, its mean 0."""
        width, height = (n - 2 * self.padding for n in self.image.size)
        box = (self.padding, self.padding, self.padding + width, self.padding + height)
        resized = self.image.resize(shape[::-1], Image.Resampling.BILINEAR, box=box)
        small = np.asarray(resized, np.float32)
        centred: NDArray[np.float32] = small - small.mean()
        return centred


def drift(before: Picture, after: Picture) -> tuple[float, float]:
    """How far a whole frame has shifted, yx in frame pixels; nothing if that is not clear.

    Where the slices of a volume are not aligned, all that is in them shifts together.
    """
    height, width = before.frame_shape
    shrink = DRIFT_SIDE / max(height, width)
    shape = max(1, round(height * shrink)), max(1, round(width * shrink))
    one, other = before.thumbnail(shape), after.thumbnail(shape)
    product = np.fft.irfft2(np.conj(np.fft.rfft2(one)) * np.fft.rfft2(other), one.shape)
    reach = [int(MOST_DRIFT * side) for side in one.shape]
    near: NDArray[np.float64] = np.roll(product, reach, (0, 1))[
        : 2 * reach[0] + 1, : 2 * reach[1] + 1
    ]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    shift = int(row) - reach[0], int(column) - reach[1]
    moved = np.roll(one, shift, (0, 1))
    clearer = [
        _likeness(moved[part], other[part]) > _likeness(one[part], other[part]) + CLEARER
        for part in _quarters(one.shape)
    ]
    if sum(clearer) < MOST_QUARTERS:
        return 0.0, 0.0
    return (
        shift[0] * height / one.shape[0],
        shift[1] * width / one.shape[1],
    )


def _quarters(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """The four quarters of a frame."""
    rows, columns = ((slice(0, side // 2), slice(side // 2, side)) for side in (shape[0], shape[1]))
    return [(row, column) for row in rows for column in columns]


def _likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Correlation of two pictures, -1 to 1."""
    one, other = one - one.mean(), other - other.mean()
    norm = math.sqrt(max(float((one**2).sum() * (other**2).sum()), FLAT))
    return float((one * other).sum()) / norm


def follow(
    region: Region, before: Picture, after: Picture, expected: tuple[float, float] = (0.0, 0.0)
) -> Motion:
    """Where a region of one frame is in the next.

    Parameters
    ----------
    region
        The object in the frame of ``before``.
    expected
        Its predicted movement, yx in frame pixels. Places near there are
        preferred, and as much those near where it is.
    """
    diameter = diameter_of(region)
    height, width = region.pixels.shape
    step = max(diameter / SAMPLES, max(height, width) / MOST_SAMPLES, 1 / min(before.scale))
    shape = math.ceil(height / step) + 2 * RIM, math.ceil(width / step) + 2 * RIM
    top, left = region.top - RIM * step, region.left - RIM * step
    template = before.sample(top, left, step, shape)
    reach = math.ceil((REACH * diameter + max(map(abs, expected))) / step)
    wider = shape[0] + 2 * reach, shape[1] + 2 * reach
    searched = after.sample(top - reach * step, left - reach * step, step, wider)
    likeness = _correlate(template, searched, _footprint(region, step, shape))
    offsets = np.arange(-reach, reach + 1) * step
    away = np.minimum(
        *(
            (offsets[:, None] - y) ** 2 + (offsets[None, :] - x) ** 2
            for y, x in ((0.0, 0.0), expected)
        )
    )
    tethered = likeness - away / (2 * (TETHER * diameter) ** 2)
    row, column = np.unravel_index(int(tethered.argmax()), tethered.shape)
    return Motion(offsets[row], offsets[column], float(likeness[row, column]))


def shifted(region: Region, dy: int, dx: int, frame_shape: tuple[int, int]) -> Region:
    """A region moved by whole pixels; what leaves the frame is cut off."""
    top, left = region.top + dy, region.left + dx
    rows = slice(max(0, -top), max(0, frame_shape[0] - top))
    columns = slice(max(0, -left), max(0, frame_shape[1] - left))
    return Region.from_mask(region.pixels[rows, columns], max(0, top), max(0, left))


def diameter_of(region: Region) -> float:
    """Of the circle that is as large as the region, in pixels."""
    return math.sqrt(4 / math.pi * max(region.area, 1))


def _footprint(region: Region, step: float, shape: tuple[int, int]) -> NDArray[np.float32]:
    """The object and its rim on the template's grid, 1 or 0."""
    rows, columns = (
        np.clip(((np.arange(n) + 0.5 - RIM) * step).astype(int), -1, size)
        for n, size in zip(shape, region.pixels.shape, strict=True)
    )
    padded = np.pad(region.pixels, ((0, 1), (0, 1)))  # beyond either end lies background
    inside = padded[rows][:, columns]
    footprint: NDArray[np.float32] = ndimage.binary_dilation(inside, iterations=RIM).astype(
        np.float32
    )
    return footprint


def _correlate(
    template: NDArray[np.float32], searched: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Correlation of the weighted template with every place of the searched window."""
    total = weights.sum()
    centred = (template - (template * weights).sum() / total) * weights
    searched = searched - searched.mean()

    def summed(values: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
        from scipy import signal  # takes a fifth of a second, which not every start should cost

        product: NDArray[np.float32] = signal.fftconvolve(values, kernel[::-1, ::-1], "valid")
        return product

    spread = summed(searched**2, weights) - summed(searched, weights) ** 2 / total
    least = FLAT**2 * total
    norm = np.sqrt(max(float((centred**2).sum()), least) * np.maximum(spread, least))
    likeness: NDArray[np.float32] = summed(searched, centred) / norm
    return likeness
