"""Which codecs a Zarr array may have: one that is not on the list could run code of the file.

Blosc reads beyond the end of a chunk that says it is longer than it is, which ends the program:
the lengths are compared before.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numcodecs
import zarr
from zarr.codecs import BloscCodec, ShardingCodec

from ..errors import FrameError

NUMBERS = frozenset(
    {
        *("blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd", "zfpy", "pcodec", "packbits"),
        *("astype", "bitround", "delta", "fixedscaleoffset", "quantize", "shuffle"),
        *("adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3", "vlen-utf8"),
    }
)
ZARR_3 = frozenset({"bytes", "endian", "transpose", "sharding_indexed"})
PREFIXES = ("numcodecs.", "imagecodecs_")  # the same under other names; decoders of pictures
BLOSC_HEADER = struct.Struct("<4xIII")  # bytes in all, of a block, and of the chunk itself


def checked(array: Any) -> Any:
    """The array, if it can be decoded without a risk; nothing of it is decoded here.

    Raises
    ------
    FrameError
        If it has a codec that is not known to be harmless.
    """
    for codec in _codecs(array.metadata.to_dict()):
        name = codec.removeprefix(PREFIXES[0])
        if name not in NUMBERS | ZARR_3 and not codec.startswith(PREFIXES[1]):
            raise FrameError(
                f"The Zarr array {array.path or array.store} is stored by the codec {codec!r}, "
                "which is not read here: it could run code. Save it again with a compressor for "
                "numbers, such as zstd or blosc."
            )
    metadata = copy.copy(array.metadata)
    if metadata.zarr_format == 2:
        object.__setattr__(metadata, "compressor", _within_its_end(metadata.compressor))
        object.__setattr__(metadata, "filters", _all_within(metadata.filters))
    else:
        object.__setattr__(metadata, "codecs", _all_within(metadata.codecs))
    return zarr.Array(zarr.AsyncArray(metadata=metadata, store_path=array.store_path))


def blosc_lengths(chunk: Any) -> tuple[int, int]:
    """What a Blosc chunk says it unfolds to, and its own length, in bytes."""
    n_bytes, _, n_stored = BLOSC_HEADER.unpack_from(chunk)
    return n_bytes, n_stored


def _check_length(chunk: Any) -> None:
    n_there = memoryview(chunk).nbytes
    _, n_stored = blosc_lengths(chunk)
    if n_stored > n_there:
        raise ValueError(f"a chunk of it has {n_there} bytes and says that it has {n_stored}")


class _Blosc2(numcodecs.Blosc):  # type: ignore[misc]  # numcodecs has no types
    """Blosc of Zarr 2, which does not read beyond the end of a chunk."""

    def decode(self, buf: Any, out: Any = None) -> Any:
        _check_length(buf)
        return super().decode(buf, out)


class _Blosc3(BloscCodec):
    """Blosc of Zarr 3, which does not read beyond the end of a chunk."""

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        _check_length(chunk_bytes.as_numpy_array())
        return await super()._decode_single(chunk_bytes, chunk_spec)

    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:  # since zarr 3.1.6
        _check_length(chunk_bytes.as_numpy_array())
        return super()._decode_sync(chunk_bytes, chunk_spec)


def _all_within(codecs: Any) -> Any:
    return codecs if codecs is None else tuple(map(_within_its_end, codecs))


def _within_its_end(codec: Any) -> Any:
    """A codec that, if it is Blosc, compares lengths before it decodes."""
    if isinstance(codec, ShardingCodec):
        return replace(codec, codecs=_all_within(codec.codecs))
    if isinstance(codec, BloscCodec):
        return _Blosc3.from_dict(codec.to_dict())
    if isinstance(codec, numcodecs.Blosc):
        config = codec.get_config()
        del config["id"]
        return _Blosc2.from_config(config)
    if isinstance(getattr(codec, "_codec", None), numcodecs.Blosc):  # Zarr 3's "numcodecs.blosc"
        own = copy.copy(codec)
        own.__dict__["_codec"] = _within_its_end(codec._codec)
        return own
    return codec


def _codecs(metadata: Any) -> Iterator[str]:
    """The names of all codecs in an array's metadata, of those inside of shards too."""
    if metadata.get("zarr_format") == 2:
        stages = [metadata.get("compressor"), *(metadata.get("filters") or ())]
        yield from (_name(stage, "id") for stage in stages if stage is not None)
        return
    pending = list(metadata.get("codecs", ()))
    while pending:
        stage = pending.pop()
        yield _name(stage, "name")
        inside = stage.get("configuration") or {} if isinstance(stage, Mapping) else {}
        pending += [*inside.get("codecs", ()), *inside.get("index_codecs", ())]


def _name(stage: Any, key: str) -> str:
    if isinstance(stage, Mapping):
        return str(stage.get(key))
    config = stage.get_config() if hasattr(stage, "get_config") else {}
    return str(config.get(key, type(stage).__name__))
