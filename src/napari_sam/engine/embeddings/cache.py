"""The embeddings used last, in memory and on disk, under what they were made from."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import sys
from collections import OrderedDict
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.contrast import resize_longest_side
from napari_sam.engine.crop import Crop, whole
from napari_sam.engine.frames import FrameIndex, FrameStack

from .keys import EmbeddingKey, StoredEmbedding

if TYPE_CHECKING:
    from napari_sam.engine.predictor import Embedding, Memo, Predictor, Progress

    from .store import EmbeddingStore

SLOW_DISK = 50e6  # bytes/s, written once and read once: an encoder faster than that needs no disk
TRIMMED_EVERY = 16  # evictions: that takes up to 100 ms


@dataclass(frozen=True, eq=False)
class CachedEmbedding:
    """An embedding and the predictions made on it, which live exactly as long."""

    embedding: Embedding
    memo: Memo
    picture: NDArray[np.uint8]  # the frame in small, (h, w, 3), under the low-res logits
    crop: Crop | None = None  # the part of the frame that it is of; None: all of it

    @property
    def nbytes(self) -> int:
        """Bytes held by all of it."""
        logits = sum(prediction.low_res_logits.nbytes for prediction in self.memo.values())
        return self.embedding.nbytes + logits + self.picture.nbytes


class _Place(NamedTuple):
    """A frame of a stack, or a crop of it."""

    frame: FrameIndex
    crop: Crop | None = None

    def read(self, stack: FrameStack) -> NDArray[np.uint8]:
        """Its pixels, as many as the network needs."""
        return stack.frame(self.frame) if self.crop is None else stack.crop(self.frame, self.crop)

    def shape(self, stack: FrameStack) -> tuple[int, int]:
        """``(H, W)`` that prompts and masks refer to."""
        return stack.frame_shape_of(self.frame) if self.crop is None else self.crop.shape

    def extent(self, stack: FrameStack) -> tuple[int, ...]:
        """What tells it from other places with the same pixels."""
        if self.crop is not None:
            return tuple(self.crop)
        side = stack.input_side(self.frame)
        return (*self.shape(stack), *(() if side is None else (side,)))


class EmbeddingCache:
    """Least recently used first out. Not safe for several threads: one worker owns it.

    It may be used again within the progress of an encoder, by what is more urgent.

    Parameters
    ----------
    limit_bytes
        How much all entries in memory may hold together. The one in use is always kept.
    store
        Embeddings on disk: looked into before a frame is encoded, and given what took longer to
        encode than a slow disk takes to write it and read it back.
    """

    def __init__(self, limit_bytes: int = 512 * 2**20, store: EmbeddingStore | None = None) -> None:
        self.limit_bytes = limit_bytes
        self.store = store
        self._n_evicted = 0
        self._entries: OrderedDict[EmbeddingKey, CachedEmbedding] = OrderedDict()
        self._hashes: WeakKeyDictionary[FrameStack, dict[_Place, str]] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes held in memory by all entries."""
        return sum(entry.nbytes for entry in self._entries.values())

    def embed(
        self,
        predictor: Predictor,
        stack: FrameStack,
        index: FrameIndex,
        progress: Progress | None = None,
        crop: Crop | None = None,
    ) -> CachedEmbedding:
        """The embedding of a stack's frame, or of a crop of it: from memory, disk, or encoded now.

        Only frames and crops never seen, or to be encoded, are read. What ``progress`` raises stops
        the encoder and stores nothing.
        """
        place = self._place(stack, index, crop)
        key, frame = self._key(predictor, stack, place)
        if key not in self._entries:
            found = None if self.store is None else self.store.get(key)
            if found is not None:
                self._entries[key] = _from_stored(found, key.model_hash, place.crop)
            else:
                frame = place.read(stack) if frame is None else frame
                key, cached = self._encode(predictor, stack, place, frame, progress)
                self._entries.setdefault(key, cached)
        return self._use(key)

    def keep(
        self,
        predictor: Predictor,
        stack: FrameStack,
        index: FrameIndex,
        progress: Progress | None = None,
        crop: Crop | None = None,
    ) -> tuple[bool, int]:
        """Have the embedding of a frame, or of a crop of it, on disk, however fast it is made.

        Memory is left as it is, and what is there is not read. Without a disk that can be written
        to it goes into memory.

        Returns
        -------
        encoded, nbytes
            Whether it was not there yet, and how many bytes it takes on disk now.
        """
        place = self._place(stack, index, crop)
        key, frame = self._key(predictor, stack, place)
        if self.store is not None and key in self.store:
            return False, self.store.size(key)
        cached = self._entries.get(key)
        encoded = cached is None
        if cached is None:
            frame = place.read(stack) if frame is None else frame
            key, cached = self._encode(predictor, stack, place, frame, progress)
        if self.store is None or not (key in self.store or self.store.put(key, _to_stored(cached))):
            self._entries.setdefault(key, cached)
            self._use(key)
            return encoded, 0
        return encoded, self.store.size(key)

    @staticmethod
    def _place(stack: FrameStack, index: FrameIndex, crop: Crop | None) -> _Place:
        """A crop that is all of a frame is that frame."""
        return _Place(index, None if crop == whole(stack.frame_shape_of(index)) else crop)

    def clear(self) -> None:
        """Forget every embedding in memory."""
        self._entries.clear()

    def _key(
        self, predictor: Predictor, stack: FrameStack, place: _Place
    ) -> tuple[EmbeddingKey, NDArray[np.uint8] | None]:
        """The key of a frame's embedding; and the frame, if it had to be read for that."""
        hashes = self._hashes.setdefault(stack, {})
        frame = None
        if place not in hashes:
            frame = place.read(stack)
            hashes[place] = _content_hash(frame, place.extent(stack))
        return EmbeddingKey(hashes[place], predictor.model.hash, predictor.model.precision), frame

    def _encode(
        self,
        predictor: Predictor,
        stack: FrameStack,
        place: _Place,
        frame: NDArray[np.uint8],
        progress: Progress | None,
    ) -> tuple[EmbeddingKey, CachedEmbedding]:
        """Encode, and write to disk if that is worth it. A full GPU changes the key."""
        start = perf_counter()
        embedding = predictor.encode(
            frame,
            frame_shape=place.shape(stack),
            input_side=stack.input_side(place.frame),
            progress=progress,
        )
        embedding.features.flatten()[0].item()  # waits for a GPU
        seconds = perf_counter() - start
        picture = resize_longest_side(frame, predictor.model.network.config.mask_size)
        cached = CachedEmbedding(embedding, {}, picture, place.crop)
        key, _ = self._key(predictor, stack, place)
        if self.store is not None and seconds > embedding.nbytes / SLOW_DISK:
            self.store.put(key, _to_stored(cached))
        _trim_memory()  # the activations took several times what is kept
        return key, cached

    def _use(self, key: EmbeddingKey) -> CachedEmbedding:
        self._entries.move_to_end(key)
        while len(self._entries) > 1 and self.nbytes > self.limit_bytes:
            self._entries.popitem(last=False)
            self._n_evicted += 1
            if self._n_evicted % TRIMMED_EVERY == 0:
                _trim_memory()
        return self._entries[key]


def _to_stored(cached: CachedEmbedding) -> StoredEmbedding:
    embedding = cached.embedding
    arrays = tuple(tensor.cpu().numpy() for tensor in embedding.tensors)
    return StoredEmbedding(arrays, embedding.frame_shape, embedding.input_shape, cached.picture)


def _from_stored(stored: StoredEmbedding, model_hash: str, crop: Crop | None) -> CachedEmbedding:
    import torch

    from napari_sam.engine.predictor import Embedding

    tensors = tuple(torch.from_numpy(array) for array in stored.arrays)
    embedding = Embedding(tensors, stored.frame_shape, stored.input_shape, model_hash)
    return CachedEmbedding(embedding, {}, stored.picture, crop)


def _trim_memory() -> None:
    """Give back what is free: glibc would keep it in pieces.

    2 MB of each evicted embedding, and 100 MB of the embedded network's activations. It takes 5 to
    10 ms after an encoder that took 550.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # other C libraries do not have it
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def _content_hash(frame: NDArray[np.uint8], extent: tuple[int, ...]) -> str:
    digest = hashlib.blake2b(repr((frame.shape, extent)).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(frame).data)
    return digest.hexdigest()
