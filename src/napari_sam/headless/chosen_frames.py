"""The frames of an image that are asked for in words: "7", "0-20" or "0-20,35"."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from napari_sam.engine import FrameError, FrameIndex, FrameStack


def parse_frames(frames: str) -> list[range] | None:
    """The positions in a --frames such as "7", "0-20" or "0-20,35"; both ends count; all: none."""
    if frames == "all":
        return None
    spans: list[range] = []
    try:
        for part in frames.split(","):
            first, _, last = part.partition("-")
            spans.append(range(int(first), int(last or first) + 1))
    except ValueError:
        spans = []
    if not spans or not all(spans):
        raise FrameError(f"--frames {frames} cannot be read. Write all, 7, 0-20 or 0-20,35.")
    return spans


@dataclass(frozen=True)
class Chosen:
    """The frames of an image that are requested, one after the other: there may be many."""

    stack: FrameStack
    spans: tuple[range, ...]  # of the first leading axis

    def __len__(self) -> int:
        return math.prod(self.shape)

    def __iter__(self) -> Iterator[FrameIndex]:
        axes, chosen = self.axes, set(self.positions)
        for index in self.stack.indices():
            if not axes or index[axes[0]] in chosen:
                yield index

    @property
    def axes(self) -> tuple[int, ...]:
        """The leading axes of the stack."""
        return tuple(axis for axis in range(self.stack.ndim) if axis not in self.stack.displayed)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many there are along each of them; ``()``: it is a single image."""
        sizes = [self.stack.shape[axis] for axis in self.axes]
        return (len(self.positions), *sizes[1:]) if sizes else ()

    @property
    def positions(self) -> list[int]:
        """Those on the first leading axis, in order; of a single image 0."""
        return sorted(set(itertools.chain(*self.spans)))


def choose_frames(stack: FrameStack, spans: list[range] | None) -> Chosen:
    """All frames, or those at these positions on the first leading axis."""
    sizes = [n for axis, n in enumerate(stack.shape) if axis not in stack.displayed]
    n = sizes[0] if sizes else 1
    last = max((span[-1] for span in spans or ()), default=0)
    if last >= n:
        frames = "1 frame" if n == 1 else f"{n} frames"
        raise FrameError(f"Frame {last} is outside a stack of {frames} (0 to {n - 1}).")
    return Chosen(stack, (range(n),) if spans is None else tuple(spans))
