"""Which frames an operation on whole objects means."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from napari_sam.engine import FrameIndex, SamError

Scope: TypeAlias = Literal["here", "before here", "after here", "from here", "everywhere"]


def frames_in(
    shape: Sequence[int], frame: FrameIndex, scope: Scope, axis: int | None = None
) -> Iterator[FrameIndex]:
    """The frames that a scope means, of the same orientation as the one given.

    Parameters
    ----------
    shape
        Of the labels.
    axis
        Along which axis "before here", "after here" and "from here" go; by default the first one
        that does not span the frame. At axes before it the position stays, at axes after it all
        are meant.
    """
    if scope == "here":
        return iter((frame,))
    axis = axis_along(frame, axis)

    def positions(a: int, at: int | None) -> Sequence[int | None]:
        if at is None:
            return (None,)
        if scope == "everywhere" or axis is None or a > axis:
            return range(shape[a])
        return _along(scope, at, shape[a]) if a == axis else (at,)

    return itertools.product(*(positions(a, at) for a, at in enumerate(frame)))


def _along(scope: Scope, at: int, size: int) -> range:
    """The positions that a scope means on the axis it goes along."""
    if scope == "before here":
        return range(at)
    return range(at + (scope == "after here"), size)


def axis_along(frame: FrameIndex, axis: int | None = None) -> int | None:
    """The axis to go along from a frame: the one given, or the first; ``None`` if there is none."""
    leading = [a for a, i in enumerate(frame) if i is not None]
    axis = leading[0] if axis is None and leading else axis
    if axis is not None and axis not in leading:
        raise SamError(
            f"Axis {axis} spans the frame. Give one that leads to it: {leading or 'there is none'}."
        )
    return axis
