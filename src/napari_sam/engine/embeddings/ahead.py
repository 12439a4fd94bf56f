"""Frames embedded in advance: the neighbours of the shown one, or all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING

from napari_sam.engine.crop import Crop
from napari_sam.engine.frames import FrameIndex, FrameStack

from .cache import EmbeddingCache

if TYPE_CHECKING:
    from napari_sam.engine.predictor import Predictor, Progress

REACH = 3  # frames ahead: a person looks at one frame for about the time that these take
LATELY_S = 30.0  # over which the remaining time is estimated: a click in between is forgotten


@dataclass(frozen=True)
class Embedded:
    """One frame of :func:`embed_all` is done."""

    index: FrameIndex
    encoded: bool  # False: it was there
    nbytes: int  # on disk; 0: it could not be kept there


def prefetch_order(
    shown: FrameIndex, previous: FrameIndex | None, stack: FrameStack, reach: int = REACH
) -> list[FrameIndex]:
    """Frames to embed while the user looks at one, the most likely next one first.

    Going on in the direction of travel, `reach` frames and then one back; without a direction,
    forth and back by turns, as many each way. Those in the cache are not left out.

    Parameters
    ----------
    shown
        The frame on screen.
    previous
        The one before it. Of several axes that changed the last counts; ``None``, or a view of
        other axes: no direction.
    stack
        The image: what is outside it is left out.
    reach
        How far to look along the axis of travel, or the last leading axis of more than one frame.
    """
    leading = [axis for axis, at in enumerate(shown) if at is not None and stack.shape[axis] > 1]
    if not leading or reach < 1:
        return []
    moved = [axis for axis in leading if _step(shown, previous, axis)]
    axis = (moved or leading)[-1]
    if moved:
        forwards = _step(shown, previous, axis)
        steps = [*(forwards * n for n in range(1, reach + 1)), -forwards]
    else:
        steps = list(chain.from_iterable((n, -n) for n in range(1, reach + 1)))
    position = shown[axis] or 0
    return [
        (*shown[:axis], position + step, *shown[axis + 1 :])
        for step in steps
        if 0 <= position + step < stack.shape[axis]
    ]


def embed_all(
    cache: EmbeddingCache,
    predictor: Predictor,
    stack: FrameStack,
    indices: Iterable[FrameIndex] | None = None,
    progress: Progress | None = None,
    crop: Crop | None = None,
) -> Iterator[Embedded]:
    """Embed many frames, or the same crop of all, and keep them on disk, one result a frame.

    Frames that are embedded already are skipped, so that a stopped run resumes.

    Parameters
    ----------
    cache
        With a store; without one it keeps as many frames as its memory holds.
    indices
        The frames, in this order; all if not given.
    progress
        Called as ``progress(done, total)`` after every block of the encoder. What it raises stops
        the encoder: no more than that frame is lost.
    """
    for index in stack.indices() if indices is None else indices:
        encoded, nbytes = cache.keep(predictor, stack, index, progress, crop)
        yield Embedded(index, encoded, nbytes)


def time_left(seconds: float, done: float, total: float) -> str:
    """Estimated time for the rest: "about 12 min"; "" if unknown."""
    if not done or done >= total:
        return ""
    left = seconds * (total - done) / done
    for unit, length in (("h", 3600), ("min", 60)):
        if left >= 2 * length:
            return f"about {left / length:.0f} {unit}"
    return f"about {max(1, left):.0f} s"


class Pace:
    """How fast work goes lately: a run slows down where nothing is embedded yet."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._marks = deque([(clock(), 0.0)])

    def time_left(self, done: float, total: float) -> str:
        """As the function, by what was done in the last half minute, or since the last report."""
        now = self._clock()
        self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[1][0] >= LATELY_S:
            self._marks.popleft()
        since, before = self._marks[0]
        return time_left(now - since, done - before, total - before)


def _step(shown: FrameIndex, previous: FrameIndex | None, axis: int) -> int:
    """-1, 0 or 1: which way the user went along an axis."""
    if previous is None or len(previous) != len(shown):
        return 0
    now, before = shown[axis], previous[axis]
    return 0 if now is None or before is None else (now > before) - (now < before)
