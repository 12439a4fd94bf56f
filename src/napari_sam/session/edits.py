"""From a mask to the label pixels that change: owners of pixels, and pixels painted by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import HIGHEST_ID, FrameIndex, checked_object_id

from .label_arrays import in_frame, pieces_of
from .region import Region, Window, around, joined

Indices: TypeAlias = tuple[NDArray[np.intp], ...]  # one array an axis of the labels

PIXELS_LISTED = 2**18  # one by one, 2 MB an axis; napari keeps them in a history of its own
LARGEST_WINDOW = 2**20  # pixels; to copy so many around a few objects takes under a millisecond


@dataclass(frozen=True)
class Footprint:
    """The pixels of one object in one frame, and those of them painted or erased by hand."""

    landed: Region  # all pixels that propagated the id after the last edit
    painted: Region  # of these, painted by hand: always kept
    erased: Region  # erased by hand: always stays empty

    @classmethod
    def empty(cls) -> Footprint:
        """An object that has not landed yet."""
        return cls(Region.empty(), Region.empty(), Region.empty())

    @classmethod
    def found(cls, region: Region) -> Footprint:
        """An object as it was found in the labels, none of it painted by hand."""
        return cls(region, Region.empty(), Region.empty())

    def after_stroke(self, covered: Region) -> Footprint:
        """The footprint when the annotator has made the object cover these pixels by hand."""
        return Footprint(
            covered,
            self.painted.common(covered).united(covered.without(self.landed)),
            self.erased.united(self.landed).without(covered),
        )


@dataclass(frozen=True, eq=False)
class LabelEdit:
    """The label pixels of one frame that change: ``write(edit.indices, edit.values)``."""

    frame: FrameIndex
    changed: Region
    values: NDArray[Any]  # one a changed pixel, row by row
    before: NDArray[Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _kept_small(self.values))
        object.__setattr__(self, "before", _kept_small(self.before))

    def __bool__(self) -> bool:
        return bool(self.values.size)

    @property
    def indices(self) -> Indices:
        """One array an axis of the labels."""
        rows, columns = np.nonzero(self.changed.pixels)
        return _indices(self.frame, rows, columns, top=self.changed.top, left=self.changed.left)

    @property
    def reverse(self) -> LabelEdit:
        """The edit that takes this one back."""
        return replace(self, values=self.before, before=self.values)

    @property
    def nbytes(self) -> int:
        """Bytes it takes to remember it."""
        arrays = (self.changed.pixels, self.values, self.before)
        return sum(a.itemsize if 0 in a.strides else a.nbytes for a in arrays)


def mask_to_edit(
    mask: Region,
    labels: Any,
    index: FrameIndex,
    object_id: int,
    footprint: Footprint,
    *,
    protect_neighbours: bool = True,
) -> tuple[LabelEdit, Footprint]:
    """The pixels that must change for an object to cover ``mask``; nothing is written.

    Pixels of other objects are left alone unless ``protect_neighbours`` is off. What differs
    between the labels and the object's footprint was changed by hand since: painted pixels stay,
    erased ones stay empty. Only the window around mask and footprint is read.

    Parameters
    ----------
    labels
        Array of all frames; the axes that are ``None`` in ``index`` span the frame.

    Raises
    ------
    SamError
        If the labels' type cannot hold the id.
    """
    check_fits(object_id, labels)
    window = around(mask, footprint.landed, footprint.painted, footprint.erased)
    y0, x0, *_ = window
    current = read_window(labels, index, window)
    own = current == object_id

    # What the annotator did by hand since the last edit is the difference to what had landed
    landed = footprint.landed.within(window)
    painted = (footprint.painted.within(window) | ~landed) & own
    erased = (footprint.erased.within(window) | landed) & ~own
    free = own | (current == 0) if protect_neighbours else np.ones_like(own)
    target = (mask.within(window) & ~erased & free) | painted

    changed = target != own
    edit = LabelEdit(
        index,
        Region.from_mask(changed, y0, x0),
        values=np.where(target, object_id, 0)[changed].astype(current.dtype),
        before=current[changed],
    )
    return edit, Footprint(
        Region.from_mask(target, y0, x0),
        Region.from_mask(painted, y0, x0),
        Region.from_mask(erased, y0, x0),
    )


def rename(
    ids: Mapping[int, int], labels: Any, index: FrameIndex, within: Window | None = None
) -> LabelEdit:
    """The edit that gives all pixels of some ids other ids, at once; nothing is written.

    Parameters
    ----------
    within
        Where the pixels are, if that is known.
    """
    old = np.array(sorted(ids))
    new = np.array([ids[i] for i in old.tolist()])
    seen = (
        pieces_of(labels, index)
        if within is None
        else [(*within[:2], read_window(labels, index, within))]
    )
    changed = joined(
        Region.from_mask(np.isin(pixels, old), top, left) for top, left, pixels in seen
    )
    before = read_window(labels, index, changed.window)[changed.pixels]
    values = new[np.searchsorted(old, before)]
    dtype = np.result_type(before.dtype, np.min_scalar_type(int(new.max())))
    return LabelEdit(index, changed, values.astype(dtype), before)


def fill(region: Region, object_id: int, labels: Any, index: FrameIndex) -> LabelEdit:
    """The edit that gives all pixels of a region to an object; nothing is written."""
    check_fits(object_id, labels)
    current = read_window(labels, index, region.window)
    changed = region.pixels & (current != object_id)
    return LabelEdit(
        index,
        Region.from_mask(changed, region.top, region.left),
        np.full(np.count_nonzero(changed), object_id, current.dtype),
        current[changed],
    )


def check_fits(object_id: int, labels: Any) -> None:
    """Refuse values that are not object ids, or one that the labels' type cannot hold."""
    checked_object_id(object_id, min(HIGHEST_ID, int(np.iinfo(labels.dtype).max)))


def region_of(
    object_id: int, labels: Any, index: FrameIndex, within: Window | None = None
) -> Region:
    """The pixels of a frame that have an id, of all or of a window that is said to hold them."""
    if within is not None:
        return Region.from_mask(read_window(labels, index, within) == object_id, *within[:2])
    return joined(
        Region.from_mask(pixels == object_id, top, left)
        for top, left, pixels in pieces_of(labels, index)
    )


def read_window(labels: Any, index: FrameIndex, window: Window) -> NDArray[Any]:
    """The labels in a window of a frame."""
    return np.asarray(labels[place_of(index, window)])


def is_in(object_id: int, labels: Any, index: FrameIndex) -> bool:
    """Whether a pixel of a frame has an id."""
    return any((pixels == object_id).any() for _, _, pixels in pieces_of(labels, index))


def frames_of_edit(edit: LabelEdit, displayed: tuple[int, int]) -> set[FrameIndex]:
    """The frames spanned by these axes in which an edit has pixels: many if it spans others."""
    if all((i is None) == (axis in displayed) for axis, i in enumerate(edit.frame)):
        return {edit.frame}
    places = np.stack(edit.indices, axis=1)
    places[:, list(displayed)] = -1
    return {tuple(None if i < 0 else int(i) for i in row) for row in np.unique(places, axis=0)}


def edits_of_stroke(
    atoms: Iterable[tuple[Sequence[Any], Any, Any]],
    shape: tuple[int, ...],
    displayed: tuple[int, int],
) -> list[LabelEdit]:
    """A stroke painted by another tool, as one edit for each frame.

    Parameters
    ----------
    atoms
        ``(indices, before, after)`` in the order they were painted: an index array for each axis
        of the labels, and one value for all or for each pixel.
    shape
        Of the labels.
    displayed
        The axes that span the frames of the edits.
    """
    parts = [_flat(indices, shape, old, new) for indices, old, new in atoms]
    if not parts:
        return []
    flat, before, after = (np.concatenate(part) for part in zip(*parts, strict=True))
    pixels, first = np.unique(flat, return_index=True)
    _, from_end = np.unique(flat[::-1], return_index=True)
    old, new = before[first], after[len(flat) - 1 - from_end]
    places = np.stack(np.unravel_index(pixels, shape))
    leading = [axis for axis in range(len(shape)) if axis not in displayed]
    frames, which = np.unique(places[leading], axis=1, return_inverse=True)
    return [
        _edit_at(places[:, which == n], old[which == n], new[which == n], displayed)
        for n in range(frames.shape[1])
    ]


def _flat(
    indices: Sequence[Any], shape: tuple[int, ...], old: Any, new: Any
) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[Any]]:
    """Pixels by their number in the array, and a value before and after for each."""
    axes = np.broadcast_arrays(*(np.ravel(axis) for axis in indices))
    flat = np.ravel_multi_index([axis.astype(np.intp) for axis in axes], shape)
    before, after = (np.broadcast_to(np.ravel(value), flat.shape) for value in (old, new))
    return flat, before, after


def _edit_at(
    places: NDArray[np.int64], old: NDArray[Any], new: NDArray[Any], displayed: tuple[int, int]
) -> LabelEdit:
    """An edit of pixels of one frame, given in the order of their rows."""
    index = tuple(None if a in displayed else int(at) for a, at in enumerate(places[:, 0]))
    rows, columns = places[displayed[0]], places[displayed[1]]
    top, left = int(rows.min()), int(columns.min())
    pixels = np.zeros((int(rows.max()) - top + 1, int(columns.max()) - left + 1), bool)
    pixels[rows - top, columns - left] = True
    return LabelEdit(index, Region(top, left, pixels), new.astype(old.dtype), old)


def writes(edits: Sequence[LabelEdit], labels: Any) -> Iterator[tuple[Any, NDArray[Any]]]:
    """Indices and values that make edits, each to be written before the next are requested.

    A single edit names every pixel that changes, unless there are very many. Several edits of
    a frame are one window of the labels as it is to be: a hundred times faster than to list pixels.
    """
    edits = [edit for edit in edits if edit]
    if len(edits) == 1 and edits[0].values.size <= PIXELS_LISTED:
        yield edits[0].indices, edits[0].values
        return
    for frame, neighbours in groupby(edits, key=lambda edit: edit.frame):
        together = list(neighbours)
        y0, x0, y1, x1 = around(*(edit.changed for edit in together))
        is_small = (y1 - y0) * (x1 - x0) <= LARGEST_WINDOW
        for part in [together] if is_small else [[edit] for edit in together]:
            yield _in_one_window(part, labels, frame)


def _in_one_window(
    edits: Sequence[LabelEdit], labels: Any, frame: FrameIndex
) -> tuple[tuple[int | slice, ...], NDArray[Any]]:
    """The labels around edits of one frame, and what they are once those are made in order."""
    window = around(*(edit.changed for edit in edits))
    place = place_of(frame, window)
    values = np.array(labels[place])
    for edit in edits:
        top, left, bottom, right = edit.changed.window
        crop = np.s_[top - window[0] : bottom - window[0], left - window[1] : right - window[1]]
        values[crop][edit.changed.pixels] = edit.values
    return place, values


def _kept_small(values: NDArray[Any]) -> NDArray[Any]:
    """The same values; if they are all equal, in the memory of one."""
    if values.size and values.strides != (0,) and (values == values[0]).all():
        return np.broadcast_to(values[:1].copy(), values.shape)
    return values


def place_of(index: FrameIndex, window: Window) -> tuple[int | slice, ...]:
    """Where a window of a frame is in the labels of all frames."""
    return in_frame(index, slice(window[0], window[2]), slice(window[1], window[3]))


def _indices(
    index: FrameIndex, rows: NDArray[np.intp], columns: NDArray[np.intp], *, top: int, left: int
) -> tuple[NDArray[np.intp], ...]:
    spans = iter((rows + top, columns + left))
    return tuple(np.full(rows.shape, i) if i is not None else next(spans) for i in index)
