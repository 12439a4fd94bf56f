"""How large an image is, for formats that do not say it, and planes by time and depth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import FrameError, Labelled

MOST_PIXELS = 2**36


@dataclass(frozen=True)
class Canvas:
    """The image that objects are put back on."""

    shape: tuple[int, ...]
    axes: str
    scale: tuple[float, ...] = ()
    units: tuple[str, ...] = ()
    segments: Any = None  # labels of it, whose pixels objects take that have positions only

    @classmethod
    def of(cls, objects: Labelled) -> Canvas:
        """That of labels."""
        return cls(objects.shape, objects.axes, objects.scale, objects.units)

    def empty(self, highest: int) -> NDArray[Any]:
        """Labels without an object, in a type that holds this id.

        Raises
        ------
        FrameError
            If there is not that much memory.
        """
        dtype = np.uint16 if highest <= np.iinfo(np.uint16).max else np.uint32
        try:
            if math.prod(self.shape) > MOST_PIXELS:
                raise MemoryError
            return np.zeros(self.shape, dtype)
        except MemoryError as error:
            raise FrameError(
                f"Labels of shape {self.shape} do not fit into memory. Give a smaller image."
            ) from error

    def labelled(self, labels: NDArray[Any], **known: Any) -> Labelled:
        """Labels of this image."""
        scale, units = self.scale or None, self.units or None
        return Labelled.of(labels, axes=self.axes, scale=scale, units=units, **known)

    def positions(self, t: int, z: int, what: str) -> tuple[int, ...]:
        """The place on the leading axes of a plane by its time and depth.

        Raises
        ------
        FrameError
            If the image has no such plane; it is told of what.
        """
        sizes = self.shape[:-2]
        at_z = depth_axis(self.axes)
        others = [size for axis, size in enumerate(sizes) if axis != at_z]
        depth = 1 if at_z is None else sizes[at_z]
        if not (0 <= t < math.prod(others) and 0 <= z < depth):
            raise FrameError(
                f"{what} is in the plane t {t}, z {z}, which an image of shape {self.shape} "
                f"({self.axes}) does not have. Give the image that it was made on."
            )
        found = [int(n) for n in np.unravel_index(t, others)] if others else []
        if at_z is not None:
            found.insert(at_z, z)
        return tuple(found)


def plane(objects: Labelled, positions: Sequence[int]) -> tuple[int, int]:
    """A frame by its number in time, and in depth; all other axes are counted through as time."""
    at_z = depth_axis(objects.axes)
    others = [axis for axis in range(len(positions)) if axis != at_z]
    t = 0
    for axis in others:
        t = t * objects.shape[axis] + positions[axis]
    return t, 0 if at_z is None else positions[at_z]


def depth_axis(axes: str) -> int | None:
    """Which of the leading axes is depth."""
    at = axes[:-2].find("Z")
    return None if at < 0 else at
