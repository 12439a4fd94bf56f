"""What the network sees where an object is: its feature maps, each pooled over the object's mask.

The maps that a frame was encoded into serve here a second time: objects that look alike have
pooled features that lie near each other. The embedded network has nine maps, three scales at each
of three sizes of the frame; Segment Anything has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from torch import Tensor

from napari_sam.model import PocketFeatures

if TYPE_CHECKING:
    from .predictor import Embedding

COARSEST = 16  # input pixels to one of the image embedding, in every network here
POOLED = 3  # of each level's maps: coarse, middle and fine; the others say where, not what

PlacedMask: TypeAlias = tuple[tuple[int, int, int, int], NDArray[np.bool_]]


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
    for features in _maps(embedding.tensors):
        _, _, h, w = features.shape
        stride = COARSEST * embedding.features.shape[-1] // w
        cells = (pixels_input // stride).astype(np.int64) @ (w, 1)
        shares = np.repeat(1 / np.maximum(counts, 1), counts).astype(np.float32)
        where = np.repeat(np.arange(len(masks)), counts), cells
        weights = coo_array((shares, where), (len(masks), h * w)).tocsr()
        seen = features[0].flatten(1).T.float().cpu().numpy()  # (h * w, C)
        pooled.append(weights @ seen)
    return np.concatenate(pooled, 1)


def _maps(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The maps ``(1, C, h, w)`` that say what is seen."""
    n = len(PocketFeatures._fields)
    if len(tensors) < n:
        return [tensors[0]]
    return [each for level in range(0, len(tensors), n) for each in tensors[level:][:POOLED]]
