"""The embeddings used last, kept in memory under what they were made from."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .frames import FrameIndex, FrameStack

if TYPE_CHECKING:
    from .predictor import Embedding, Memo, Predictor, Progress


@dataclass(frozen=True)
class EmbeddingKey:
    """Two embeddings with one key are the same: pixels after preprocessing, model, precision."""

    frame: str
    model_hash: str
    precision: str


@dataclass(frozen=True, eq=False)
class CachedEmbedding:
    """An embedding and the predictions made on it, which live exactly as long."""

    embedding: Embedding
    memo: Memo
    picture: NDArray[np.uint8]  # the frame in small, (h, w, 3), under the low-res logits

    @property
    def nbytes(self) -> int:
        """Bytes held by all of it."""
        logits = sum(prediction.low_res_logits.nbytes for prediction in self.memo.values())
        return self.embedding.nbytes + logits + self.picture.nbytes


class EmbeddingCache:
    """Least recently used first out. Not safe for several threads: one worker owns it.

    Parameters
    ----------
    limit_bytes
        How much all entries may hold together. The one in use is always kept.
    """

    def __init__(self, limit_bytes: int = 512 * 2**20) -> None:
        self.limit_bytes = limit_bytes
        self._entries: OrderedDict[EmbeddingKey, CachedEmbedding] = OrderedDict()
        self._hashes: WeakKeyDictionary[FrameStack, dict[FrameIndex, str]] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes held by all entries."""
        return sum(entry.nbytes for entry in self._entries.values())

    def embed(
        self,
        predictor: Predictor,
        stack: FrameStack,
        index: FrameIndex,
        progress: Progress | None = None,
    ) -> CachedEmbedding:
        """The embedding of a stack's frame, encoded if it is not here.

        Only frames never seen are read. What ``progress`` raises stops the encoder and stores
        nothing.
        """
        hashes = self._hashes.setdefault(stack, {})
        frame = None
        if index not in hashes:
            frame = stack.frame(index)
            hashes[index] = _content_hash(frame, stack.frame_shape_of(index))
        key = EmbeddingKey(hashes[index], predictor.model.hash, predictor.model.precision)
        if key not in self._entries:
            frame = stack.frame(index) if frame is None else frame
            frame_shape = stack.frame_shape_of(index)
            embedding = predictor.encode(frame, frame_shape=frame_shape, progress=progress)
            picture = _picture(frame, predictor.model.network.config.mask_size)
            self._entries[key] = CachedEmbedding(embedding, {}, picture)
        self._entries.move_to_end(key)
        self._evict()
        return self._entries[key]

    def clear(self) -> None:
        """Forget every embedding."""
        self._entries.clear()

    def _evict(self) -> None:
        while len(self._entries) > 1 and self.nbytes > self.limit_bytes:
            self._entries.popitem(last=False)


def _picture(frame: NDArray[np.uint8], long_side: int) -> NDArray[np.uint8]:
    scale = long_side / max(frame.shape[:2])
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    return np.array(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR))


def _content_hash(frame: NDArray[np.uint8], frame_shape: tuple[int, int]) -> str:
    digest = hashlib.blake2b(repr((frame.shape, frame_shape)).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(frame).data)
    return digest.hexdigest()
