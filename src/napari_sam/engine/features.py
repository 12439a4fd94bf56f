"""What is seen of an object: the network's feature maps, pooled over its mask, and measurements.

The maps that a frame was encoded into serve here a second time: objects that look alike have
pooled features that lie near each other. The embedded network has nine maps, three scales at each
of three sizes of the frame; Segment Anything has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.sparse import coo_array

if TYPE_CHECKING:
    from torch import Tensor

    from .predictor import Embedding

COARSEST = 16  # input pixels to one of the image embedding, in every network here
POOLED = 3  # of each level's maps: coarse, middle and fine; the others say where, not what
N_MEASURED = 12
SURROUNDINGS = 4  # pixels around an object that its intensity is compared with

PlacedMask: TypeAlias = tuple[tuple[int, int, int, int], NDArray[np.bool_]]


def placed_mask(
    labels: NDArray[np.integer], object_id: int, where: tuple[slice, ...]
) -> PlacedMask:
    """The pixels of an object of labels ``(H, W)`` in its window."""
    rows, columns = where
    return (rows.start, columns.start, rows.stop, columns.stop), labels[where] == object_id


def pooled_features(embedding: Embedding, masks: Sequence[PlacedMask]) -> NDArray[np.float32]:
    """Pool the features of one encoded frame over masks in it.

    Parameters
    ----------
    embedding
        The frame.
    masks
        Of N objects: the window ``(y0, x0, y1, x1)`` in frame pixels, half open, and the mask in
        it, ``(y1 - y0, x1 - x0)``.

    Returns
    -------
    ``(N, D)``: of each object the means of all channels of all maps, one map after the other. A
    mask without a pixel has zeros.
    """
    pixels = [np.argwhere(mask) + window[:2] for window, mask in masks]
    counts = np.array([len(each) for each in pixels], int)
    scale = np.divide(embedding.input_shape, embedding.frame_shape)
    pixels_input = (np.concatenate([np.zeros((0, 2)), *pixels]) + 0.5) * scale  # (P, 2), yx
    pooled = []
    for features in feature_maps(embedding):
        _, _, h, w = features.shape
        stride = COARSEST * embedding.features.shape[-1] // w
        cells = (pixels_input // stride).astype(np.int64) @ (w, 1)
        shares = np.repeat(1 / np.maximum(counts, 1), counts).astype(np.float32)
        where = np.repeat(np.arange(len(masks)), counts), cells
        weights = coo_array((shares, where), (len(masks), h * w)).tocsr()
        seen = features[0].flatten(1).T.float().cpu().numpy()  # (h * w, C)
        pooled.append(weights @ seen)
    return np.concatenate(pooled, 1)


def feature_maps(embedding: Embedding) -> list[Tensor]:
    """The maps ``(1, C, h, w)`` of a frame that say what is seen, in the order they are pooled."""
    from napari_sam.model import PocketFeatures

    tensors, n = embedding.tensors, len(PocketFeatures._fields)
    if len(tensors) < n:
        return [tensors[0]]
    return [each for level in range(0, len(tensors), n) for each in tensors[level:][:POOLED]]


def measured_features(
    frame: NDArray[np.uint8], frame_shape: tuple[int, int], masks: Sequence[PlacedMask]
) -> NDArray[np.float32]:
    """Measure what a network that sees at several sizes says least of: shape and intensity.

    Parameters
    ----------
    frame
        ``(h, w, 3)`` as the network sees it; it may be a smaller level of the frame.
    frame_shape
        ``(H, W)`` that the windows refer to.
    masks
        As in :func:`pooled_features`.

    Returns
    -------
    ``(N, 12)``: logarithms of the area and of the ratio of the axes, roundness, the share of the
    window; mean red, green and blue, the standard deviation of the grey; the same four less those
    of the surroundings, of four pixels. A mask without a pixel has zeros.
    """
    return np.array([_measured(frame, frame_shape, *each) for each in masks], np.float32).reshape(
        len(masks), N_MEASURED
    )


def _measured(
    frame: NDArray[np.uint8],
    frame_shape: tuple[int, int],
    window: tuple[int, int, int, int],
    mask: NDArray[np.bool_],
) -> list[float]:
    area = int(np.count_nonzero(mask))
    if not area:
        return [0.0] * N_MEASURED
    padded = np.pad(mask, SURROUNDINGS)
    short, long = spread_of(np.argwhere(mask))
    sides = np.count_nonzero(np.diff(padded, axis=0)) + np.count_nonzero(np.diff(padded, axis=1))
    around = binary_dilation(padded, iterations=SURROUNDINGS) & ~padded
    inside, outside = (
        _intensities(frame, frame_shape, np.argwhere(each) + window[:2] - SURROUNDINGS)
        for each in (padded, around)
    )
    shape = [np.log(area), np.log(long / short), 16 * area / sides**2, area / mask.size]
    return [*shape, *inside, *(inside - outside)]


def spread_of(pixels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The variance of pixels ``(P, 2)`` along the short and the long axis; of one, of a square."""
    spread = np.cov(pixels, rowvar=False) if len(pixels) > 1 else np.zeros((2, 2))
    return np.asarray(np.linalg.eigvalsh(spread + np.eye(2) / 12))


def values_at(
    frame: NDArray[np.uint8], frame_shape: tuple[int, int], pixels: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """The values ``(P, 3)`` of pixels ``(P, 2)`` of a frame, of which a smaller level is given."""
    rows, columns = (pixels * frame.shape[:2] // frame_shape).T
    values: NDArray[np.uint8] = frame[rows, columns]
    return values


def _intensities(
    frame: NDArray[np.uint8], frame_shape: tuple[int, int], pixels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean red, green, blue and the standard deviation of the grey of pixels ``(P, 2)``, yx."""
    inside = pixels[((pixels >= 0) & (pixels < frame_shape)).all(1)]
    values = values_at(frame, frame_shape, inside).astype(np.float64)
    if not len(values):  # an object that fills the frame has no surroundings
        return np.zeros(4)
    return np.append(values.mean(0), values.mean(1).std())
