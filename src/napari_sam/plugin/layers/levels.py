"""Labels of huge frames at several resolutions: napari then reads only what is on screen.

The finest level is the labels themselves. Each other one holds every second pixel of the one
before, which is just where napari shows it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_sam.session import empty_labels, pieces_of, place_of

WIDEST = 16_384  # pixels of a side that graphics cards show: napari redraws all of what is wider
COARSEST = 2_048  # pixels of the long side of the last level


def is_huge(frame_shape: Sequence[int]) -> bool:
    """Whether napari would read all labels of a frame again after each change."""
    return max(frame_shape) > WIDEST


def finest(labels: Labels) -> Any:
    """The array of labels at full resolution."""
    return labels.data[0] if labels.multiscale else labels.data


@dataclass(frozen=True, eq=False)
class LabelLevels:
    """An array of labels, and coarser ones that follow what is written."""

    arrays: Sequence[Any]  # from the finest on
    displayed: tuple[int, int]  # the axes that become shorter: those that span a frame

    @classmethod
    def of(cls, labels: Any, displayed: tuple[int, int]) -> LabelLevels:
        """Labels with coarser levels; what is in them is read once."""
        arrays = [labels]
        while max(arrays[-1].shape[axis] for axis in displayed) > COARSEST:
            sides = enumerate(arrays[-1].shape)
            shape = tuple(-(-n // 2) if axis in displayed else n for axis, n in sides)
            arrays.append(empty_labels(shape, labels.dtype))
        across = ((None,) if axis in displayed else range(n) for axis, n in enumerate(labels.shape))
        for frame, (finer, coarser) in itertools.product(
            itertools.product(*across), itertools.pairwise(arrays)
        ):
            for top, left, pixels in pieces_of(finer, frame):
                if (second := pixels[top % 2 :: 2, left % 2 :: 2]).any():
                    y, x = -(-top // 2), -(-left // 2)
                    height, width = second.shape
                    coarser[place_of(frame, (y, x, y + height, x + width))] = second
        return cls(arrays, displayed)

    def write(self, indices: tuple[Any, ...], values: NDArray[Any]) -> None:
        """Write pixels; an array of positions, a position or a slice for each axis."""
        self.arrays[0][indices] = values
        if all(isinstance(at, slice) or np.size(at) for at in indices):
            self._follow(indices)

    def _follow(self, indices: tuple[Any, ...]) -> None:
        """Let the coarser levels follow what was written to the finest."""
        halved = [axis in self.displayed for axis in range(len(indices))]
        spans = list(map(_span, indices))
        for finer, coarser in itertools.pairwise(self.arrays):
            pairs = list(zip(spans, halved, strict=True))
            spans = [slice(-(-at.start // 2), -(-at.stop // 2)) if h else at for at, h in pairs]
            pairs = list(zip(spans, halved, strict=True))
            second = [slice(2 * at.start, 2 * at.stop, 2) if h else at for at, h in pairs]
            if all(at.start < at.stop for at in spans):
                coarser[tuple(spans)] = np.asarray(finer[tuple(second)])


def _span(at: Any) -> slice:
    """All positions of an axis between the first and the last one that is indexed."""
    return at if isinstance(at, slice) else slice(int(np.min(at)), int(np.max(at)) + 1)


def levels_of(labels: Labels, displayed: tuple[int, int]) -> LabelLevels | None:
    """The levels of a layer; ``None`` if it has only one."""
    return LabelLevels(list(labels.data), displayed) if labels.multiscale else None


def show_array(labels: Labels, array: Any, displayed: tuple[int, int]) -> None:
    """Let a layer show an array of labels, at several resolutions if it does so."""
    labels.data = LabelLevels.of(array, displayed).arrays if labels.multiscale else array
