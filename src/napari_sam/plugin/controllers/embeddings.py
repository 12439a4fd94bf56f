"""Embeddings computed in advance: the neighbours of the shown frame, or all frames."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from napari_sam.engine import (
    Crop,
    EmbeddingCache,
    FrameIndex,
    FrameStack,
    Pace,
    SamError,
    prefetch_order,
    readable_size,
)
from napari_sam.plugin.panels.embeddings import EmbeddingPanel
from napari_sam.plugin.work import tasks
from napari_sam.plugin.work.jobs import BULK, PREFETCH, Job, Report, Worker

if TYPE_CHECKING:
    from napari_sam.engine import Predictor

AHEAD, ALL, SIZES = "ahead", "all frames", "sizes"  # job slots

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """A frame, or a crop of a large one."""

    frame: FrameIndex
    crop: Crop | None = None


class EmbeddingAhead:
    """Keeps a worker busy behind everything the user waits for.

    Parameters
    ----------
    worker
        Whose thread owns the cache.
    cache
        Where the embeddings go.
    panel
        Shows how far it is, and the room that embeddings take.
    tell
        Given what went wrong with work the user requested.
    """

    def __init__(
        self,
        worker: Worker,
        cache: EmbeddingCache,
        panel: EmbeddingPanel,
        tell: Callable[[Exception], None],
    ) -> None:
        self.prefetch = True
        self._worker, self._cache = worker, cache
        self._panel, self._tell = panel, tell
        self._stack: FrameStack | None = None
        self._shown: FrameIndex | None = None
        self._previous: FrameIndex | None = None
        self._running: Place | None = None
        self._waiting: list[Place] = []
        self._pace = Pace()
        panel.cancel_clicked.connect(self.cancel_all)
        panel.clear_clicked.connect(self.clear)

    def look_ahead(
        self,
        predictor: Predictor,
        stack: FrameStack,
        shown: FrameIndex,
        crop: Crop | None = None,
        beside: Sequence[Crop] = (),
    ) -> None:
        """Embed the neighbours of a frame that is on screen and embedded, while nobody waits.

        Of a large frame a crop is on screen: those beside it come first, then the same one in the
        next frames.
        """
        if shown != self._shown or stack is not self._stack:
            self._previous = self._shown if stack is self._stack else None
            self._stack, self._shown = stack, shown
        order = [Place(shown, each) for each in beside]
        order += [Place(frame, crop) for frame in prefetch_order(shown, self._previous, stack)]
        order = order if self.prefetch else []
        self._waiting = [place for place in order if place != self._running]
        if self._running not in order:
            self._embed_next(predictor, stack)

    def _embed_next(self, predictor: Predictor, stack: FrameStack) -> None:
        self._running = self._waiting.pop(0) if self._waiting else None
        if self._running is None:
            self._worker.cancel(AHEAD)
            self.show_sizes()
            return
        frame, crop = self._running
        job = Job(
            AHEAD,
            partial(tasks.embed, self._cache, predictor, stack, frame, crop=crop),
            done=partial(self._on_embedded, predictor, stack, self._running),
            failed=partial(self._on_unreadable, predictor, stack, self._running),
            priority=PREFETCH,
            subject=(stack, frame, crop),
        )
        self._worker.submit(job)

    def _on_embedded(
        self, predictor: Predictor, stack: FrameStack, place: Place, result: object
    ) -> None:
        if place == self._running and stack is self._stack:
            self._embed_next(predictor, stack)

    def _on_unreadable(
        self, predictor: Predictor, stack: FrameStack, place: Place, error: Exception
    ) -> None:
        """Not requested by the user: the error is shown when the frame is."""
        log.info("frame %s could not be embedded ahead: %s", place.frame, error)
        self._on_embedded(predictor, stack, place, None)

    def embed_all(
        self,
        predictor: Predictor,
        stack: FrameStack,
        shown: FrameIndex | None,
        crop: Crop | None = None,
    ) -> None:
        """Embed all frames, from the shown one on; those on disk already are skipped.

        Of large frames it is the crop on screen, where the next clicks and objects will be.
        """
        indices = list(stack.indices())
        at = indices.index(shown) if shown in indices else 0
        pending = indices[at:] + indices[:at]
        n = len(pending)
        what = f"{n} frames" if crop is None else f"the part on screen of {n} frames"
        self._pace = Pace()
        self._panel.show_busy(f"Embedding {what} …", 0, 100 * n)
        job = Job(
            ALL,
            partial(_embed_all, self._cache, predictor, stack, pending, crop),
            done=lambda _: self._show_end(
                f"All {n} frames are embedded." if crop is None else f"Embedded: {what}."
            ),
            failed=self._on_failed,
            progress=self._show_progress,
            priority=BULK,
        )
        self._worker.submit(job)

    def _show_progress(self, done: int, total: int) -> None:
        """Reports come in hundredths of a frame."""
        left = self._pace.time_left(done, total)
        text = f"{done // 100} of {total // 100} frames embedded"
        self._panel.show_busy(f"{text}, {left} left" if left else text, done, total)

    def _on_failed(self, error: Exception) -> None:
        self._show_end("Not all frames are embedded.")
        self._tell(error)

    def _show_end(self, text: str) -> None:
        self._panel.show_idle(text)
        self.show_sizes()

    def cancel_all(self) -> None:
        """Stop embedding all frames; finished frames are kept, and the next run resumes."""
        self._worker.cancel(ALL)
        self._show_end("Stopped. “Embed all frames” resumes from here.")

    def stop(self) -> None:
        """Another image, another model, or nobody there any more: let go of everything."""
        self._worker.cancel(AHEAD)
        self._worker.cancel(ALL)
        self._stack = self._shown = self._previous = self._running = None
        self._waiting = []
        self._panel.show_idle("")

    def clear(self) -> None:
        """Forget all embeddings, in memory and on disk."""
        work = partial(_clear, self._cache)
        self._worker.submit(Job(SIZES, work, self._show_sizes, self._tell, priority=PREFETCH))

    def show_sizes(self) -> None:
        """Find out how much room the embeddings take, when nothing else is to do."""
        work = partial(_sizes, self._cache)
        self._worker.submit(Job(SIZES, work, self._show_sizes, self._tell, priority=BULK))

    def _show_sizes(self, sizes: Sizes) -> None:
        self._panel.show_sizes(str(sizes), sizes.folder)


@dataclass(frozen=True)
class Sizes:
    """Bytes that embeddings take."""

    memory: int
    disk: int
    limit: int  # of the disk
    folder: str

    def __str__(self) -> str:
        memory, disk = (readable_size(n) if n else "none" for n in (self.memory, self.disk))
        limit = f" of {readable_size(self.limit)}" if self.limit else ""
        return f"Kept: {memory} in memory, {disk}{limit} on disk"


# In the worker's thread


def _embed_all(
    cache: EmbeddingCache,
    predictor: Predictor,
    stack: FrameStack,
    pending: list[FrameIndex],
    crop: Crop | None,
    report: Report,
) -> None:
    """Embed all frames, unless the first one shows that there is too little room for them."""

    total = len(pending)

    def report_first(done: int, of_one: int) -> None:
        report(done, 100 * total)

    first = pending[0]
    tasks.embed_all(cache, predictor, stack, [first], 1, report_first, crop)
    _, nbytes = cache.keep(predictor, stack, first, crop=crop)
    if cache.store is not None and nbytes * total > cache.store.capacity:
        raise SamError(
            f"{total} frames take about {readable_size(nbytes * total)}, but {cache.store.folder} "
            f"may hold {readable_size(cache.store.capacity)}. Clear the embeddings of other "
            "images, free some space, or raise the limit under Preferences."
        )
    tasks.embed_all(cache, predictor, stack, pending, total, report, crop)


def _clear(cache: EmbeddingCache, report: Report) -> Sizes:
    cache.clear()
    if cache.store is not None:
        cache.store.clear()
    return _sizes(cache, report)


def _sizes(cache: EmbeddingCache, report: Report) -> Sizes:
    store = cache.store
    if store is None:
        return Sizes(cache.nbytes, 0, 0, "")
    return Sizes(cache.nbytes, store.nbytes, store.capacity, str(store.folder))
