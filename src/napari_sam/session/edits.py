"""From a mask to the label pixels that change: whose pixel is it, and what was painted by hand?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import FrameIndex, SamError

Window: TypeAlias = tuple[int, int, int, int]  # y0, x0, y1, x1 in pixels of the frame, half open

NOWHERE: Window = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Region:
    """A set of pixels of one frame, kept as the crop that holds them."""

    top: int
    left: int
    pixels: NDArray[np.bool_]

    @classmethod
    def empty(cls) -> Region:
        """No pixel at all."""
        return cls(0, 0, np.zeros((0, 0), bool))

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_], top: int = 0, left: int = 0) -> Region:
        """The true pixels of a mask whose first pixel lies at ``(top, left)`` of the frame."""
        rows = np.flatnonzero(mask.any(axis=1))
        if not len(rows):
            return cls.empty()
        y0, y1 = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(mask[y0:y1].any(axis=0))
        x0, x1 = int(columns[0]), int(columns[-1]) + 1
        return cls(top + y0, left + x0, mask[y0:y1, x0:x1].copy())

    @property
    def window(self) -> Window:
        """Where the crop lies."""
        height, width = self.pixels.shape
        return (self.top, self.left, self.top + height, self.left + width)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.pixels.sum())

    def within(self, window: Window) -> NDArray[np.bool_]:
        """The region seen through a window that holds it all, ``(y1 - y0, x1 - x0)`` bool."""
        seen = np.zeros((window[2] - window[0], window[3] - window[1]), bool)
        if self.pixels.size:
            y, x = self.top - window[0], self.left - window[1]
            seen[y : y + self.pixels.shape[0], x : x + self.pixels.shape[1]] = self.pixels
        return seen


@dataclass(frozen=True, eq=False)
class Footprint:
    """What one object covers in one frame, and which part of that is the annotator's own hand."""

    landed: Region  # all pixels that carried the id after the last edit
    painted: Region  # of these, painted by hand: kept whatever the network says
    erased: Region  # taken away by hand: stays empty whatever the network says

    @classmethod
    def empty(cls) -> Footprint:
        """An object that has not landed yet."""
        return cls(Region.empty(), Region.empty(), Region.empty())


@dataclass(frozen=True, eq=False)
class LabelEdit:
    """The label pixels that change, ready for ``write(edit.indices, edit.values)``."""

    indices: tuple[NDArray[np.intp], ...]  # one array an axis of the labels
    values: NDArray[Any]
    before: NDArray[Any]

    def __bool__(self) -> bool:
        return bool(self.values.size)


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
    if object_id > np.iinfo(labels.dtype).max:
        raise SamError(
            f"Object {object_id} does not fit into labels of type {labels.dtype} "
            f"(at most {np.iinfo(labels.dtype).max}). Use labels of type uint32."
        )
    window = _around(mask, footprint.landed, footprint.painted, footprint.erased)
    y0, x0, *_ = window
    current = np.asarray(labels[_slices(index, window)])
    own = current == object_id

    # What the annotator did by hand since the last edit is the difference to what had landed
    landed = footprint.landed.within(window)
    painted = (footprint.painted.within(window) | ~landed) & own
    erased = (footprint.erased.within(window) | landed) & ~own
    free = own | (current == 0) if protect_neighbours else np.ones_like(own)
    target = (mask.within(window) & ~erased & free) | painted

    changed = target != own
    edit = LabelEdit(
        indices=_indices(index, *np.nonzero(changed), top=y0, left=x0),
        values=np.where(target, object_id, 0)[changed].astype(current.dtype),
        before=current[changed],
    )
    return edit, Footprint(
        Region.from_mask(target, y0, x0),
        Region.from_mask(painted, y0, x0),
        Region.from_mask(erased, y0, x0),
    )


def _around(*regions: Region) -> Window:
    windows = [region.window for region in regions if region.pixels.size]
    if not windows:
        return NOWHERE
    tops, lefts, bottoms, rights = zip(*windows, strict=True)
    return (min(tops), min(lefts), max(bottoms), max(rights))


def _slices(index: FrameIndex, window: Window) -> tuple[int | slice, ...]:
    spans = iter((slice(window[0], window[2]), slice(window[1], window[3])))
    return tuple(next(spans) if i is None else i for i in index)


def _indices(
    index: FrameIndex, rows: NDArray[np.intp], columns: NDArray[np.intp], *, top: int, left: int
) -> tuple[NDArray[np.intp], ...]:
    spans = iter((rows + top, columns + left))
    return tuple(np.full(rows.shape, i) if i is not None else next(spans) for i in index)
