"""The labels of one frame as a TIFF and back."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

UNCOMPRESSED, DEFLATE = (1,), (8, 32946)  # TIFF's numbers
MOST_BYTES_PER_BYTE = 1100  # the highest compression of deflate
LARGEST_TIFF = 2**30  # bytes of a file


def largest_tiff(frame_shape: tuple[int, int]) -> int:
    """Bytes that a file of a frame may have: its pixels as they are, with a head."""
    return min(LARGEST_TIFF, 8 * math.prod(frame_shape) + 2**20)


def write_labels(labels: NDArray[Any]) -> bytes:
    """A TIFF that any program opens."""
    file = io.BytesIO()
    tifffile.imwrite(file, labels, compression="zlib", photometric="minisblack")
    return file.getvalue()


def read_labels(content: bytes, frame_shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Read a file of :func:`write_labels`, with no more memory than the frame needs.

    Raises
    ------
    Exception
        Of any kind, if it is damaged.
    ValueError
        If it holds anything but such labels.
    """
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages.first
        if page.shape != frame_shape:
            raise ValueError(f"it holds an image of shape {page.shape}, not {frame_shape}")
        if page.dtype is None or page.dtype.kind not in "iu" or page.samplesperpixel != 1:
            raise ValueError(f"labels are whole numbers, not {page.dtype}")
        if page.compression not in UNCOMPRESSED + DEFLATE:
            raise ValueError(f"its compression is {page.compression}, not deflate")
        if page.nbytes > MOST_BYTES_PER_BYTE * len(content):
            raise ValueError("it is too short for its frame")
        labels: NDArray[Any] = page.asarray()
    if not np.can_cast(labels.dtype, dtype):
        info = np.iinfo(dtype)
        if labels.size and not info.min <= int(labels.min()) <= int(labels.max()) <= info.max:
            raise ValueError(f"there are labels in it that {dtype} cannot hold")
    return labels
