"""Zarr arrays in memory of which it is known what was written to; empty chunks take no memory."""

from __future__ import annotations

from typing import Any

import zarr
from numpy.typing import DTypeLike
from zarr.storage import MemoryStore


class ChunksInMemory(MemoryStore):
    """A store in memory whose keys, such as ``c/0/12``, are those of the chunks written to."""

    def __init__(self, chunks: dict[str, Any] | None = None, *, read_only: bool = False) -> None:
        self.chunks = {} if chunks is None else chunks
        super().__init__(self.chunks, read_only=read_only)


def zeros(shape: tuple[int, ...], chunks: tuple[int, ...], dtype: DTypeLike) -> Any:
    """An array of zeros."""
    return zarr.zeros(shape, chunks=chunks, dtype=dtype, store=ChunksInMemory())


def frozen(labels: Any) -> Any:
    """An array of this kind as it is now: chunks are replaced, never changed."""
    return zarr.open_array(ChunksInMemory(dict(labels.store.chunks), read_only=True), mode="r")
