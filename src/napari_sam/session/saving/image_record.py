"""The record by which an image is recognised."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator

import numpy as np

from napari_sam.engine import FrameStack

from .records import Record

SAMPLED_FRAMES, SAMPLED_SIDE = 5, 1024


def image_record(stack: FrameStack) -> Record:
    """Shape, type and a hash of a sample of an image: enough to notice another one."""
    finest = stack.levels[0]
    record = {"shape": list(stack.shape), "dtype": str(finest.dtype)}
    digest = hashlib.blake2b(repr((record, stack.rgb)).encode(), digest_size=16)
    try:
        for where in _sample(stack):
            digest.update(np.ascontiguousarray(finest[where]).data)
    except (OSError, ValueError, RuntimeError, zlib.error):  # the image's file is gone
        return {**record, "content": None}
    return {**record, "content": f"blake2b:{digest.hexdigest()}"}


def _sample(stack: FrameStack) -> Iterator[tuple[int | slice, ...]]:
    """The middle of a few frames, all channels."""
    sizes = list(stack.shape)
    windows = [slice(max(0, (n - SAMPLED_SIDE) // 2), (n + SAMPLED_SIDE) // 2) for n in sizes]
    leading = [axis for axis in range(len(sizes)) if axis not in stack.displayed]
    for share in np.linspace(0, 1, SAMPLED_FRAMES if leading else 1):
        where: list[int | slice] = [
            int(share * (sizes[axis] - 1)) if axis in leading else windows[axis]
            for axis in range(len(sizes))
        ]
        if stack.colour_axis is not None:
            where.insert(stack.colour_axis, slice(None))
        yield tuple(where)
