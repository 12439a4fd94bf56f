"""What an embedding is found by, and what of it goes to disk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PREPROCESSING = 1  # to be raised whenever a frame and a model come to mean other tensors


@dataclass(frozen=True)
class EmbeddingKey:
    """Two embeddings with one key are the same: frame in 8 bit, model, precision."""

    frame: str
    model_hash: str
    precision: str
    preprocessing: int = PREPROCESSING


@dataclass(frozen=True, eq=False)
class StoredEmbedding:
    """What of an embedding goes to disk; whose it is, its key says."""

    arrays: tuple[NDArray[np.floating], ...]  # the tensors, the image embedding first
    frame_shape: tuple[int, int]
    input_shape: tuple[int, int]
    picture: NDArray[np.uint8]
