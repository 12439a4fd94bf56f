"""Objects propagated from an annotated frame to others, each frame prompted by the one before.

How an object is found again in the next frame, and when it is given up, is in `step`; here is
which frames are walked through, and what becomes of frames that are reached from both sides.
Nothing here touches a session or its labels: :func:`plan` reads all that :func:`propagate` needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine import Crop, FrameIndex, FrameStack

if TYPE_CHECKING:
    from napari_sam.engine import EmbeddingCache, Predictor

from napari_sam.session import Propagated
from napari_sam.session.region import Region

from .motion import Picture
from .planning import Leg, Plan, Reference
from .step import Rules, step
from .track import Before, Scene, Track
from .views import View, choose_views, crop_of

Progress: TypeAlias = Callable[[int, int], None]

PARTS = 100  # progress is reported in hundredths of a frame
RULES = Rules()
MOST_HELD = 4  # views of the last frame whose embeddings are at hand, whatever the cache holds
AGREEING = 0.3  # IoU from which masks that come from both sides are taken for one object


def propagate(
    plan: Plan,
    stack: FrameStack,
    predictor: Predictor,
    cache: EmbeddingCache,
    progress: Progress | None = None,
    *,
    rules: Rules = RULES,
) -> Iterator[Propagated]:
    """Propagate objects from frame to frame, all objects of a frame together.

    In a frame larger than the network's input, objects are looked for in crops that go along with
    them. Close the generator to stop; what was yielded stays valid. A few embeddings are held
    beside the cache's own, and the masks of one frame, or of all between two annotated frames.

    Parameters
    ----------
    progress
        Called as ``progress(done, total)`` in hundredths of a frame, after every block of the
        encoder and for every few objects; what it raises stops the work.
    """
    done = 0
    for leg in plan.legs:
        walker = _Walker(stack, predictor, cache, rules, _Report(progress, done, plan.n_steps))
        for frame in walker.fill(leg) if leg.goals else walker.walk(leg):
            yield from frame
        done += leg.n_steps


class _Report:
    """Progress of many frames, told in parts of a frame."""

    def __init__(self, progress: Progress | None, done: int, total: int) -> None:
        self.progress, self.done, self.total = progress, done, total
        self.nth, self.n_views = 0, 1

    def begin(self, nth: int, n_views: int) -> None:
        """The next of the views of a frame is looked at."""
        self.nth, self.n_views = nth, n_views

    def within(self, blocks: int, n_blocks: int) -> None:
        """So many blocks of a view are encoded."""
        if self.progress is not None:
            n_blocks = max(n_blocks, 1)
            part = PARTS * (self.nth * n_blocks + blocks) // (self.n_views * n_blocks)
            self.progress(PARTS * self.done + part, PARTS * self.total)

    def waiting(self, *_: int) -> None:
        """Nothing new is done yet."""
        self.within(0, 1)

    def next(self) -> None:
        """A frame is done."""
        self.begin(0, 1)
        self.done += 1
        self.waiting()


class _Walker:
    """Walks through the frames of a leg."""

    def __init__(
        self,
        stack: FrameStack,
        predictor: Predictor,
        cache: EmbeddingCache,
        rules: Rules,
        report: _Report,
    ) -> None:
        self.stack, self.predictor, self.cache = stack, predictor, cache
        self.rules, self.report = rules, report
        self._seen: dict[tuple[FrameIndex, Crop | None], Picture] = {}  # the one last read

    def walk(self, leg: Leg) -> Iterator[list[Propagated]]:
        """All objects of a frame, frame after frame."""
        shape = self.stack.frame_shape_of(leg.frames[0])
        tracks = [self._track(leg, object_id) for object_id in leg.seeds]
        views: list[View] = []
        held: dict[Crop | None, Before] = {}
        for last, frame in pairwise(leg.frames):
            tracks = [track for track in tracks if leg.until.get(track.object_id) != frame]
            if not tracks:
                return
            views = choose_views(tracks, shape, [view.crop for view in views])
            known, held = held, {}
            results: list[tuple[Propagated, Track | None]] = []
            for nth, view in enumerate(views):
                self.report.begin(nth, len(views))
                before = known.get(view.crop) or self._before(leg, last, view.crop)
                scene = self._scene(leg, frame, view.crop, self.report.within)
                pausing = self.predictor.pausing(partial(self.report.within, 1, 1))
                results += view.outside(step(view.inside, before, scene, pausing, self.rules))
                if nth < MOST_HELD:
                    held[view.crop] = Before(scene.picture, scene.embedding)
            self.report.next()
            there = [propagated for propagated, _ in results]
            yield there if len(views) < 2 else _apart(there, shape)
            tracks = [track for _, track in results if track is not None]

    def _track(self, leg: Leg, object_id: int) -> Track:
        """An object as it starts, along depth with what it is compared with."""
        frame, region = leg.frames[0], leg.seeds[object_id]
        if leg.through == "time":
            return Track.in_time(object_id, region, frame)
        known, reference = leg.references.get(object_id, Reference(frame, region))
        crop = crop_of(reference, self.stack.frame_shape_of(known))
        top, left = (0, 0) if crop is None else crop[:2]
        here, there = (each.moved(-top, -left) for each in (region, reference))
        picture = self._unembedded(leg, known, crop)
        return Track.in_depth(object_id, here, frame, there, picture).moved(top, left)

    def _before(self, leg: Leg, frame: FrameIndex, crop: Crop | None) -> Before:
        """A frame that objects come from, where it was not looked at in this crop."""
        if frame == leg.frames[0]:
            return Before(self._unembedded(leg, frame, crop))
        scene = self._scene(leg, frame, crop, self.report.waiting)
        return Before(scene.picture, scene.embedding)

    def _scene(self, leg: Leg, frame: FrameIndex, crop: Crop | None, progress: Progress) -> Scene:
        """A frame to look in, or a crop of it."""
        cached = self.cache.embed(self.predictor, self.stack, frame, progress, crop)
        picture = self._picture(leg, frame, crop, cached.picture)
        return Scene(frame, picture, cached.embedding)

    def _unembedded(self, leg: Leg, frame: FrameIndex, crop: Crop | None) -> Picture:
        """A frame, or a crop of it, that objects are known in."""
        if (frame, crop) not in self._seen:
            stack = self.stack
            pixels = stack.frame(frame) if crop is None else stack.crop(frame, crop)
            self._seen = {(frame, crop): self._picture(leg, frame, crop, pixels)}
        return self._seen[frame, crop]

    def _picture(
        self, leg: Leg, frame: FrameIndex, crop: Crop | None, pixels: NDArray[np.uint8]
    ) -> Picture:
        """Pixels in small; along depth in grey values that are the same in all slices."""
        shape = self.stack.frame_shape_of(frame) if crop is None else crop.shape
        if leg.through == "time":
            return Picture(pixels, shape)
        stack = self.stack
        limits = stack.limits(frame) if crop is None else stack.overall_limits(frame)
        return Picture(pixels, shape, limits)

    def fill(self, leg: Leg) -> Iterator[list[Propagated]]:
        """The frames between both ends of a leg, last frame first, from what comes from either."""
        forth = replace(leg, frames=leg.frames[:-1])
        ahead = {(c.object_id, c.frame): c for frame in self.walk(forth) for c in frame}
        back = self.walk(Leg(leg.frames[:0:-1], leg.goals, {}, {}, leg.through))
        stopped: set[int] = set()
        for n, frame in reversed(list(enumerate(leg.frames))[1:-1]):
            behind = {c.object_id: c for c in next(back, [])}
            met = [(ahead.pop((i, frame), None), behind.get(i)) for i in leg.seeds]
            merged = _meet(met, n / (len(leg.frames) - 1), self.stack.frame_shape_of(frame))
            new = [c for c in merged if not (c.stopped and c.object_id in stopped)]
            stopped |= {c.object_id for c in new if c.stopped}
            yield new


def _meet(
    met: Sequence[tuple[Propagated | None, Propagated | None]],
    nearness: float,
    frame_shape: tuple[int, int],
) -> list[Propagated]:
    """One frame's objects as they come from the first and from the last frame.

    Parameters
    ----------
    met
        For each object what comes from the first frame and from the last one.
    nearness
        Of the last frame, 0 to 1.
    """
    blended = (_blend(ahead, back, nearness) for ahead, back in met)
    return _apart(filter(None, blended), frame_shape)


def _apart(there: Iterable[Propagated], frame_shape: tuple[int, int]) -> list[Propagated]:
    """The objects of a frame, best first, each without the pixels of those before."""
    taken = np.zeros(frame_shape, bool)  # of a large frame only what is touched takes memory
    apart = []
    for propagated in sorted(there, key=lambda c: -c.score):
        y0, x0, y1, x1 = propagated.mask.window
        own = propagated.mask.pixels & ~taken[y0:y1, x0:x1]
        taken[y0:y1, x0:x1] |= own
        apart.append(replace(propagated, mask=Region.from_mask(own, y0, x0)))
    return apart


def _blend(ahead: Propagated | None, back: Propagated | None, nearness: float) -> Propagated | None:
    """An object as seen from both sides: the nearer and the better one counts more."""
    sides = [
        (side, weight * side.score)
        for side, weight in ((ahead, 1 - nearness), (back, nearness))
        if side is not None and not side.stopped
    ]
    if len(sides) < 2:
        return sides[0][0] if sides else ahead or back
    sides.sort(key=lambda side: -side[1])
    (best, heavy), (other, light) = sides
    common = best.mask.common(other.mask).area
    agreement = common / max(best.mask.area + other.mask.area - common, 1)
    total = max(heavy + light, np.finfo(float).tiny)
    score = (heavy * best.score + light * other.score) / total * (1 + agreement) / 2
    if agreement < AGREEING:
        return replace(best, score=score)
    united = best.mask.united(other.mask).window
    window = (united[0] - 1, united[1] - 1, united[2] + 1, united[3] + 1)
    depths = heavy * _depth(best.mask.within(window)) + light * _depth(other.mask.within(window))
    return replace(best, score=score, mask=Region.from_mask(depths > 0, window[0], window[1]))


def _depth(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance to the mask's edge in pixels, negative outside."""
    inside, outside = (ndimage.distance_transform_edt(side) for side in (mask, ~mask))
    depth: NDArray[np.float64] = inside - outside
    return depth
