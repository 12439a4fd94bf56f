"""Surfaces of the objects in a volume, by marching cubes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from napari_sam.engine.masks import windows_of


class Surface(NamedTuple):
    """The surface of an object, in triangles."""

    object_id: int
    corners: NDArray[np.float32]  # (N, 3) z, y, x in pixels; the centre of the first one is at 0
    faces: NDArray[np.int32]  # (M, 3) rows of corners


def surfaces(volume: NDArray[Any]) -> Iterator[Surface]:
    """Of each object of a volume ``(Z, Y, X)`` of ids; closed, also at the volume's border."""
    for object_id, crop in windows_of(volume).items():
        solid = np.pad(volume[crop] == object_id, 1)
        corners, faces, *_ = marching_cubes(solid, 0.5)
        first = np.array([side.start - 1 for side in crop], np.float32)
        yield Surface(object_id, corners + first, faces)
