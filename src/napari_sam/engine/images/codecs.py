"""Which codecs a Zarr array may have: one that is not on the list could run code of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import FrameError

NUMBERS = frozenset(
    {
        *("blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd", "zfpy", "pcodec", "packbits"),
        *("astype", "bitround", "delta", "fixedscaleoffset", "quantize", "shuffle"),
        *("adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3"),
    }
)
ZARR_3 = frozenset({"bytes", "endian", "transpose", "sharding_indexed"})
PREFIXES = ("numcodecs.", "imagecodecs_")  # the same under other names; decoders of pictures


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
    return array


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
