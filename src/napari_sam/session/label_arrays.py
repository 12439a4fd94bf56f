"""The arrays that hold labels: made here, or given by someone else and made ready to write into."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_sam.engine import HIGHEST_ID, FrameError, FrameIndex, SamError, decoding

MOST_PIXELS = 2**29  # of labels held as one array, 1 GB; a compressed one is ten times slower
MOST_AT_ONCE = 2**24  # pixels of a frame that is copied in one piece
PIXELS_IN_STRIP = 2**18  # as many as stay in the processor's cache
CHUNK_SIDE = 512
BLOCK_SIDE = 2 * CHUNK_SIDE  # of what is read at once where labels are in chunks
HIGHEST_COUNTED = 2**20  # id: up to it, counting takes less time than sorting
UNREADABLE = "Save them again with the program that made them, or choose “New labels”."
ELSEWHERE = "Your changes are not written to the original."


@dataclass(frozen=True, eq=False)
class WritableLabels:
    """Labels that a session can write into."""

    array: Any  # the one given, or a copy of it
    highest_id: int
    notice: str = ""  # for the user, if the array given stays as it is; in sentences


def writable_labels(given: Any, shape: Sequence[int], because: str = "") -> WritableLabels:
    """Labels as they come, or a copy where pixels cannot be written into them.

    A copy is made of what is read-only, computed when it is read, of another byte order than this
    computer's, or of a type that holds no further object.

    Parameters
    ----------
    given
        Integers with a shape, indexed to read: a NumPy array, a Zarr array, one of Dask, …
    shape
        Of the image without its colour axis.
    because
        Why they must be copied in any case, as the end of a sentence "These labels …".

    Raises
    ------
    SamError
        If they are not labels of this image, cannot be read, or hold ids that are too high.
    """
    check_labels(given, shape)
    reason = because or why_not_writable(given) or _why_not_shown(given)
    with decoding("These labels", UNREADABLE):
        array = copied(given, given.dtype) if reason else given
        highest = highest_id_of(array)
    if highest >= HIGHEST_ID:
        raise FrameError(
            f"These labels hold the id {highest}, and no object can have a higher one than "
            f"{HIGHEST_ID}. Number them again from 1, with "
            "skimage.segmentation.relabel_sequential for instance."
        )
    notice = f"These labels {reason}. They were copied into memory. {ELSEWHERE}" if reason else ""
    wide = with_room(array, highest + 1)
    return WritableLabels(wide.array, highest, notice or wide.notice)


def with_room(labels: Any, object_id: int) -> WritableLabels:
    """The same labels, or a copy in a wider type where an id would not fit."""
    if object_id <= np.iinfo(labels.dtype).max:
        return WritableLabels(labels, object_id)
    dtype = np.promote_types(labels.dtype, np.min_scalar_type(object_id))
    notice = (
        f"These labels are of type {labels.dtype}, which holds no object {object_id}. They were "
        f"copied into memory, as {dtype}. {ELSEWHERE}"
    )
    in_memory = isinstance(labels, np.ndarray) and not isinstance(labels, np.memmap)
    in_memory |= _knows_chunks(labels)
    return WritableLabels(copied(labels, dtype), object_id, "" if in_memory else notice)


def check_labels(labels: Any, shape: Sequence[int]) -> None:
    """Refuse arrays that are not labels of an image of this shape.

    Raises
    ------
    SamError
        If they have another shape or are not integers.
    """
    if not hasattr(labels, "shape") or not hasattr(labels, "dtype"):
        raise SamError(
            f"Labels are an array of integers, not {type(labels).__name__}. Give numpy.array(…)."
        )
    if tuple(labels.shape) != tuple(shape):
        raise SamError(
            f"These labels have the shape {tuple(labels.shape)}, the image {tuple(shape)}. "
            "Choose labels of the image's own shape, at its full resolution."
        )
    if _kind(labels) not in ("i", "u"):
        raise SamError(
            f"Labels are integers, not {labels.dtype}. Convert them to uint16 or uint32."
        )


def why_not_writable(labels: Any) -> str:
    """Why pixels cannot be written into labels, as the end of a sentence "These labels …"."""
    if isinstance(labels, np.ndarray) and not isinstance(labels, np.ma.MaskedArray):
        return "" if labels.flags.writeable else "are read-only"
    if _is_zarr(labels):
        return "are read-only" if labels.read_only else ""
    kind = type(labels)
    name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    return f"are of the type {name}, into which single pixels cannot be written"


def highest_id_of(labels: Any) -> int:
    """The highest id of a stack, read piece by piece so that no stack is held in memory."""
    highest = 0
    for place in _pieces(labels.shape):
        if is_written(labels, place):
            highest = max(highest, int(np.max(np.asarray(labels[place]), initial=0)))
    return highest


def in_frame(index: FrameIndex, rows: slice, columns: slice) -> tuple[int | slice, ...]:
    """Where some rows and columns of a frame are in the labels of all frames."""
    spans = iter((rows, columns))
    return tuple(next(spans) if i is None else i for i in index)


def read_frame(labels: Any, index: FrameIndex) -> NDArray[Any]:
    """The labels of one frame, ``(H, W)``; of an array in memory a view."""
    return np.asarray(labels[in_frame(index, slice(None), slice(None))])


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """The labels of one frame, of which only those windows are read that are asked for."""

    labels: Any  # of all frames
    frame: FrameIndex
    without: Collection[int] = ()  # ids that count as background

    def __getitem__(self, where: tuple[slice, slice]) -> NDArray[Any]:
        """The labels in some rows and columns of the frame."""
        pixels = np.asarray(self.labels[in_frame(self.frame, *where)])
        if not self.without:
            return pixels
        return np.where(np.isin(pixels, np.fromiter(self.without, np.int64)), 0, pixels)


def pieces_of(labels: Any, index: FrameIndex) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """The labels of one frame in pieces: no copy of a huge frame is made.

    Yields
    ------
    Top, left and pixels ``(h, w)`` of each. Chunks never written to are left out.
    """
    if isinstance(labels, np.ndarray):
        frame = read_frame(labels, index)
        n_rows = max(1, PIXELS_IN_STRIP // max(1, frame.shape[1]))
        for top in range(0, len(frame), n_rows):
            yield top, 0, frame[top : top + n_rows]
        return
    height, width = (labels.shape[axis] for axis, i in enumerate(index) if i is None)
    for top in range(0, height, BLOCK_SIDE):
        for left in range(0, width, BLOCK_SIDE):
            block = slice(top, top + BLOCK_SIDE), slice(left, left + BLOCK_SIDE)
            place = in_frame(index, *block)
            if is_written(labels, place):
                yield top, left, np.asarray(labels[place])


def is_written(labels: Any, place: tuple[int | slice, ...]) -> bool:
    """Whether anything may ever have been written to a place; of labels of others it may."""
    if not _knows_chunks(labels):
        return True
    spans = []
    for at, side, n in zip(place, labels.chunks, labels.shape, strict=True):
        span = range(n)[at] if isinstance(at, slice) else range(at, at + 1)
        spans.append(range(span.start // side, -(-span.stop // side)))
    keys = ("/".join(map(str, ("c", *each))) for each in itertools.product(*spans))
    return any(key in labels.store.chunks for key in keys)


def empty_labels(
    shape: tuple[int, ...], dtype: DTypeLike = np.uint16, most_pixels: int = MOST_PIXELS
) -> Any:
    """Labels of a shape, all 0; of a huge one only what is written to takes memory."""
    if math.prod(shape) <= most_pixels:
        return np.zeros(shape, dtype)
    from . import chunks_in_memory  # an eighth of a second that the window need not wait for

    return chunks_in_memory.zeros(shape, (1,) * (len(shape) - 2) + (CHUNK_SIDE, CHUNK_SIDE), dtype)


def frozen(labels: Any) -> Any:
    """The labels as they are now, whatever is written later; ``None`` if that costs a copy."""
    if not _knows_chunks(labels):
        return None
    from . import chunks_in_memory

    return chunks_in_memory.frozen(labels)


def copied(labels: Any, dtype: DTypeLike, most_pixels: int = MOST_PIXELS) -> Any:
    """The same labels in memory, in another type and this computer's byte order.

    They are copied piece by piece; what is empty takes no memory.
    """
    native = np.dtype(dtype).newbyteorder("=")
    copy = empty_labels(tuple(labels.shape), native, most_pixels)
    for place in _pieces(labels.shape):
        if is_written(labels, place) and (piece := np.asarray(labels[place])).any():
            copy[place] = piece
    return copy


def _pieces(shape: Sequence[int]) -> Iterator[tuple[int | slice, ...]]:
    """Whole frames, so that lazy data are computed once; parts of huge frames."""
    *leading, height, width = shape
    side = BLOCK_SIDE if height * width > MOST_AT_ONCE else max(height, width, 1)
    for frame in np.ndindex(*leading):
        for top in range(0, height, side):
            for left in range(0, width, side):
                yield (*frame, slice(top, top + side), slice(left, left + side))


def _why_not_shown(labels: Any) -> str:
    """Why napari would write other ids than were meant."""
    return "" if np.dtype(labels.dtype).isnative else "are not in this computer's byte order"


def _kind(labels: Any) -> str:
    try:
        return str(np.dtype(labels.dtype).kind)
    except TypeError:  # of another library
        return ""


def _is_zarr(labels: Any) -> bool:
    return type(labels).__module__.partition(".")[0] == "zarr"


def _knows_chunks(labels: Any) -> bool:
    """Whether labels are those of :func:`empty_labels` that tell what was written to."""
    return _is_zarr(labels) and type(labels.store).__name__ == "ChunksInMemory"


def unique_ids(labels: NDArray[Any]) -> list[int]:
    """The values in labels, in order; where they are low they are counted, not sorted."""
    if labels.size and labels.min() >= 0 and labels.max() <= HIGHEST_COUNTED:
        counts = np.bincount(labels.ravel().astype(np.intp, copy=False))
        ids: list[int] = np.flatnonzero(counts).tolist()
    else:
        ids = np.unique(labels).tolist()
    return ids
