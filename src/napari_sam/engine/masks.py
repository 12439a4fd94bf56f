"""Masks ``(H, W)`` bool: how good they are, where they lie, and how they look over their frame.

Coordinates are yx; the centre of the first pixel is (0, 0), so pixel (r, c) covers r ± 0.5 and
c ± 0.5.
"""

from __future__ import annotations

import colorsys
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .crop import Box
from .errors import FrameError

Mask: TypeAlias = NDArray[np.bool_]

MOST_COUNTED = 2**20  # id: above it labels are numbered anew to find their windows
GOLDEN_RATIO = 0.618034  # of a hue circle between two ids: neighbouring ids never look alike
FILL = 0.3  # how much of an object's colour covers its pixels
OUTLINE_SHARE = 500  # one pixel of outline for so many pixels of the longer side


def stability_score(
    logits: NDArray[np.floating], threshold: float = 0.0, offset: float = 1.0
) -> NDArray[np.float32]:
    """IoU between a mask cut a little above and a little below its threshold.

    Kirillov et al. 2023, appendix B: a mask that hardly changes is stable.

    Parameters
    ----------
    logits
        Mask logits ``(..., h, w)``.
    threshold, offset
        The two cuts are ``threshold + offset`` and ``threshold - offset``, in logits.

    Returns
    -------
    Scores ``(...)`` between 0 and 1; 0 where even the lower cut leaves nothing.
    """
    smaller = np.count_nonzero(logits > threshold + offset, axis=(-2, -1))
    larger = np.count_nonzero(logits > threshold - offset, axis=(-2, -1))
    return np.asarray(smaller / np.maximum(larger, 1), np.float32)


def iou(mask: Mask, other: Mask) -> float:
    """Intersection over union of two masks of one shape; 1 if both are empty."""
    union = np.count_nonzero(mask | other)
    return np.count_nonzero(mask & other) / union if union else 1.0


def area(mask: Mask) -> int:
    """Number of pixels."""
    return int(np.count_nonzero(mask))


def mask_to_box(mask: Mask) -> Box | None:
    """The smallest box around all pixels of a mask, ``None`` if it has none.

    The box ends at the outer edges of the outermost pixels: a single pixel (r, c) gives
    ``(r - 0.5, c - 0.5, r + 0.5, c + 0.5)``.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return rows[0] - 0.5, columns[0] - 0.5, rows[-1] + 0.5, columns[-1] + 0.5


def polygon_mask(vertices: NDArray[np.float64], frame_shape: tuple[int, int]) -> Mask:
    """The pixels ``(H, W)`` whose centres are inside a polygon ``(N, 2)`` yx, by the even-odd rule.

    A centre on an upper or left edge is inside, one on a lower or right edge is not: polygons that
    share an edge share no pixel and leave none out.
    """
    window = _window_around(vertices, frame_shape)
    height, width = (side.stop - side.start for side in window)
    starts = vertices - [side.start for side in window]
    ends = np.roll(starts, -1, axis=0)
    downwards = starts[:, :1] <= ends[:, :1]
    upper, lower = np.where(downwards, starts, ends), np.where(downwards, ends, starts)
    # The rows whose centres an edge passes: from its upper end on, up to but without its lower
    first, last = (np.clip(np.ceil(end[:, 0]), 0, height).astype(int) for end in (upper, lower))
    edge = np.repeat(np.arange(len(vertices)), last - first)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - last, last - first)
    (y0, x0), (y1, x1) = upper[edge].T, lower[edge].T
    crossing = x0 + (row - y0) * ((x1 - x0) / (y1 - y0))
    # Every crossing turns inside and outside for all pixels to its right
    column = np.clip(np.ceil(crossing), 0, width).astype(int)
    turns = np.bincount(row * (width + 1) + column, minlength=height * (width + 1)) % 2 == 1
    mask = np.zeros(frame_shape, bool)
    mask[window] = np.logical_xor.accumulate(turns.reshape(height, width + 1)[:, :width], axis=1)
    return mask


def ellipse_mask(corners: NDArray[np.float64], frame_shape: tuple[int, int]) -> Mask:
    """The pixels ``(H, W)`` whose centres are in the ellipse of a rectangle ``(4, 2)`` yx.

    The corners come in the order one walks around the rectangle; it may be rotated or skewed.
    """
    mask = np.zeros(frame_shape, bool)
    half_axes = np.stack([corners[1] - corners[0], corners[3] - corners[0]], axis=1) / 2
    if abs(np.linalg.det(half_axes)) < np.finfo(np.float32).eps:
        return mask
    window = _window_around(corners, frame_shape)
    rows, columns = (np.arange(side.start, side.stop) for side in window)
    centre_y, centre_x = corners.mean(axis=0)
    offset_y, offset_x = (rows - centre_y)[:, None], (columns - centre_x)[None, :]
    # In units of its half axes the ellipse is the unit circle
    (uy, ux), (vy, vx) = np.linalg.inv(half_axes)
    mask[window] = (uy * offset_y + ux * offset_x) ** 2 + (vy * offset_y + vx * offset_x) ** 2 <= 1
    return mask


def _window_around(
    vertices: NDArray[np.float64], frame_shape: tuple[int, int]
) -> tuple[slice, slice]:
    """The rows and columns of a frame that can hold what these vertices enclose."""
    first = np.clip(np.ceil(vertices.min(axis=0)), 0, frame_shape).astype(int)
    last = np.clip(np.floor(vertices.max(axis=0)) + 1, first, frame_shape).astype(int)
    return slice(int(first[0]), int(last[0])), slice(int(first[1]), int(last[1]))


def interior_point(mask: Mask) -> tuple[float, float] | None:
    """The pixel ``(y, x)`` of a mask that is deepest in it, ``None`` if it has none.

    Depth is the distance to the nearest pixel outside; beyond the frame's border all is outside.
    """
    box = mask_to_box(mask)
    if box is None:
        return None
    top, left, bottom, right = (int(edge + 0.5) for edge in box)
    depth = ndimage.distance_transform_edt(np.pad(mask[top:bottom, left:right], 1))
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(y + top - 1), float(x + left - 1)


def windows_of(labels: NDArray[np.integer]) -> dict[int, tuple[slice, ...]]:
    """The smallest window of each object in labels ``(…, H, W)``, by id; ids may be any."""
    ids = None
    if labels.max(initial=0) > MOST_COUNTED:
        ids, flat = np.unique(labels, return_inverse=True)
        labels = flat.reshape(labels.shape) + (ids[0] > 0)
    windows: dict[int, tuple[slice, ...]] = {}
    for n, where in enumerate(ndimage.find_objects(labels.astype(np.int64, copy=False)), 1):
        if where is not None:
            windows[n if ids is None else int(ids[n - (ids[0] > 0)])] = where
    return windows


def overlay(image_rgb: NDArray[np.uint8], labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """A picture of a frame with its objects tinted and outlined, each id in a colour of its own.

    Parameters
    ----------
    image_rgb
        The frame, ``(H, W, 3)`` uint8.
    labels
        Object ids ``(H, W)``, 0 for the background.

    Raises
    ------
    FrameError
        If the two have different sizes.
    """
    if image_rgb.shape != (*labels.shape, 3):
        raise FrameError(
            f"Labels of shape {labels.shape} do not cover a picture of shape {image_rgb.shape}. "
            "Give both in the frame's own pixels, the picture as (H, W, 3)."
        )
    ids, positions = np.unique(labels, return_inverse=True)
    colours = np.array([colour_of(int(object_id)) for object_id in ids])
    colour = colours[positions.reshape(labels.shape)]  # (H, W, 3)
    cover = np.where(_outlines(labels), 1.0, FILL) * (labels != 0)
    picture: NDArray[np.float64] = image_rgb + (colour - image_rgb) * cover[..., None]
    return np.rint(picture).astype(np.uint8)


def _outlines(labels: NDArray[np.integer]) -> Mask:
    """Pixels near one of another id, in every object."""
    reach = 1 + 2 * max(1, round(max(labels.shape) / OUTLINE_SHARE))
    lowest = ndimage.minimum_filter(labels, reach, mode="nearest")
    highest = ndimage.maximum_filter(labels, reach, mode="nearest")
    outlines: Mask = lowest != highest
    return outlines


def colour_of(object_id: int) -> tuple[float, float, float]:
    """Red, green and blue of an object, 0 to 255; neighbouring ids never look alike."""
    hue = (object_id * GOLDEN_RATIO) % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 1.0)
    return 255 * red, 255 * green, 255 * blue
