"""Places that look like the middle of an example, where nothing was found yet.

As in "Chain-of-Prompts" (arXiv 2605.29429): reliable places first, and of these each next one the
farthest from those that are there, so that each click goes to another object.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.features import PlacedMask
from napari_sam.engine.predictor import Embedding
from napari_sam.engine.prompts import Point

from .found import FoundObject
from .likeness import Examples, looks_of_places, squared_distances

MOST_PER_SIDE = 96  # places that are compared, along the longer side of a frame
PITCH = 3  # of them in a diameter
SQUARE = 0.3  # of the diameter: side of the square that is compared
APART = 0.5  # of the diameter: how far a place is from what is there


class Places:
    """Reliable places of one frame.

    Parameters
    ----------
    covered
        ``(H, W)``: where something is.
    reach
        How unlike the examples a place may be, as a share of what they are among themselves.
    """

    def __init__(
        self,
        embedding: Embedding,
        examples: Examples,
        covered: NDArray[np.bool_],
        reach: float = 1.0,
    ) -> None:
        self._covered = covered.copy()
        self._apart = APART * examples.diameter
        height, width = embedding.frame_shape
        pitch = max(1.0, examples.diameter / PITCH, max(height, width) / MOST_PER_SIDE)
        ys, xs = (np.arange(pitch / 2, side, pitch).astype(int) for side in (height, width))
        self._points = np.stack(np.meshgrid(ys, xs, indexing="ij"), -1).reshape(-1, 2)
        self._choose(self._gaps() > self._apart)
        squares = [
            square_at(point, examples.diameter, embedding.frame_shape)
            for point in self._points.tolist()
        ]
        looks = looks_of_places(embedding, squares)
        self._choose(squared_distances(looks, examples.centres).min(1) <= reach * examples.reach)

    def take(self, n: int) -> list[Point]:
        """At most n places, each the farthest from all that was there and was taken before it."""
        gaps = self._gaps()
        taken: list[Point] = []
        while len(taken) < n and len(gaps) and gaps.max() > self._apart:
            y, x = self._points[gaps.argmax()]
            taken.append((float(y), float(x)))
            self._covered[y, x] = True
            gaps = np.minimum(gaps, np.hypot(*(self._points - (y, x)).T))
        return taken

    def cover(self, found: FoundObject) -> None:
        """Something is there now."""
        self._covered[found.where] |= found.mask

    def _gaps(self) -> NDArray[np.float64]:
        """How far each place is from what is there, in pixels."""
        if not self._covered.any():
            return np.full(len(self._points), np.inf)
        gaps = ndimage.distance_transform_edt(~self._covered)
        return np.asarray(gaps[tuple(self._points.T)], np.float64)

    def _choose(self, chosen: NDArray[np.bool_]) -> None:
        self._points = self._points[chosen]


def square_at(point: Sequence[float], diameter: float, frame_shape: tuple[int, int]) -> PlacedMask:
    """A small square around a pixel, as far as it is in the frame."""
    half = int(SQUARE * diameter / 2)
    y0, x0 = (max(0, int(at) - half) for at in point)
    y1, x1 = (min(side, int(at) + half + 1) for at, side in zip(point, frame_shape, strict=True))
    step = max(1, half // 2)
    mask = np.zeros((y1 - y0, x1 - x0), bool)
    mask[::step, ::step] = True
    return (y0, x0, y1, x1), mask
