"""The key of an embedding, and the part of it that is stored on disk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PREPROCESSING = 1  # increase it whenever the tensors of a frame and a model change


@dataclass(frozen=True)
class EmbeddingKey:
    """Two embeddings with one key are the same: frame in 8 bit, model, precision."""

    frame: str  # digest of its pixels and its shape; of a crop, of where it lies
    model_hash: str
    precision: str
    preprocessing: int = PREPROCESSING


@dataclass(frozen=True, eq=False)
class StoredEmbedding:
    """The part of an embedding that is stored on disk, under its key."""

    arrays: tuple[NDArray[np.floating], ...]  # the tensors, the image embedding first
    frame_shape: tuple[int, int]
    input_shape: tuple[int, int]
    picture: NDArray[np.uint8]
