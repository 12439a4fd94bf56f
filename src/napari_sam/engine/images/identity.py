"""What tells an image on a server from another one, without reading all of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..guard import FOLDER_S, decoding, in_time
from .opening import open_image
from .places import open_node, remedy_at

LOOKED_AT = 16  # chunks, of the coarsest level, which shows something of every pixel


def identity_at(address: str, series: str | int | None = None) -> str:
    """A hash of what is said about a Zarr at an address, and of some of its pixels.

    All metadata count, and up to 16 chunks spread over the coarsest level: a server lists nothing,
    and an image may be terabytes. What changes elsewhere, without a new pyramid, is not noticed.

    Raises
    ------
    FrameError
        If it cannot be reached, or is no Zarr.
    """
    with decoding(address, remedy_at(address)):
        return in_time(Path(address), lambda: _identity(address, series), seconds=FOLDER_S)


def _identity(address: str, series: str | int | None) -> str:
    opened, root = open_image(address, series=series), open_node(address)
    levels = opened.data if isinstance(opened.data, list) else [opened.data]
    part = root[series] if isinstance(series, str) and series in root else root
    attributes = [dict(root.attrs), dict(part.attrs)]
    said = [attributes, opened.axes, series, [level.metadata.to_dict() for level in levels]]
    digest = hashlib.blake2b(json.dumps(said, sort_keys=True, default=str).encode(), digest_size=16)
    for chunk in _chunks(levels[-1]):
        digest.update(np.ascontiguousarray(chunk).data)
    return digest.hexdigest()


def _chunks(array: Any) -> Iterator[NDArray[Any]]:
    """Some chunks from all parts of an array."""
    grid = [math.ceil(n / size) for n, size in zip(array.shape, array.chunks, strict=True)]
    spread = np.linspace(0, math.prod(grid) - 1, LOOKED_AT).astype(int)
    for nth in dict.fromkeys(spread.tolist()):
        place = zip(np.unravel_index(nth, grid), array.chunks, strict=True)
        yield array[tuple(slice(at * size, (at + 1) * size) for at, size in place)]
