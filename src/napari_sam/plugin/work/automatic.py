"""What runs in a worker's thread to find objects: proposals, decisions, what is to land."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_sam.engine import (
    AutomaticOptions,
    EmbeddingCache,
    FoundObject,
    FrameIndex,
    FrameStack,
    decide,
)
from napari_sam.session import Claim, free_regions, read_frame

from .jobs import Report
from .tasks import encoding

if TYPE_CHECKING:
    from napari_sam.engine import Predictor

Proposals: TypeAlias = tuple[FoundObject, ...]


def find(
    cache: EmbeddingCache,
    predictor: Predictor,
    stack: FrameStack,
    frames: Sequence[FrameIndex],
    options: AutomaticOptions,
    report: Report,
) -> Iterator[tuple[FrameIndex, Proposals]]:
    """What may be an object in each of some frames. It reports in hundredths of a frame."""
    from napari_sam.engine import propose  # it brings torch, and the window opens without it

    report = encoding(report)
    for n, frame in enumerate(frames):

        def progress(done: int, total: int, n: int = n) -> None:
            report(100 * n + 100 * done // total, 100 * len(frames))

        def encoding_on(block: int, n_blocks: int, n: int = n) -> None:
            report(100 * n, 100 * len(frames))

        progress(0, 1)
        cache.embed(predictor, stack, frame, encoding_on)  # what is more urgent is done between
        found = propose(predictor, stack, frame, options, cache=cache, progress=progress)
        yield frame, tuple(found)


@dataclass(frozen=True, eq=False)
class Decision:
    """The proposals of one frame, to be decided on: without a network, so as often as wanted."""

    proposals: Proposals
    options: AutomaticOptions
    frame: FrameIndex
    frame_shape: tuple[int, int]
    labels: Any  # of all frames
    replaced: Collection[int] = ()  # ids in them that make way
    chosen: Collection[int] | None = None  # positions of the only ones meant; None: all are

    def made(self) -> Proposals:
        """The proposals, each with why it does not stand if so."""
        annotated = read_frame(self.labels, self.frame)
        if self.replaced:
            ids = np.fromiter(self.replaced, np.int64)
            annotated = np.where(np.isin(annotated, ids), 0, annotated)
        return tuple(decide(self.proposals, self.options, self.frame_shape, annotated))


def show_decision(
    decision: Decision,
    draw: Callable[[Proposals, Collection[int], tuple[int, int]], Any] | None,
    report: Report,
) -> tuple[Proposals, Any]:
    """The proposals decided, and a picture of them where one is wanted."""
    decided = decision.made()
    chosen = decision.chosen or ()
    return decided, None if draw is None else draw(decided, chosen, decision.frame_shape)


def claim(
    decisions: Sequence[Decision], report: Report
) -> list[tuple[FrameIndex, Sequence[Claim]]]:
    """What is to land in each of some frames: of those that stand the ones meant."""
    claims: list[tuple[FrameIndex, Sequence[Claim]]] = []
    for n, each in enumerate(decisions):
        report(n, len(decisions))
        decided = each.made()
        if each.chosen is not None:
            decided = tuple(decided[i] for i in sorted(each.chosen))
        claims.append((each.frame, free_regions(decided, each.frame_shape)))
    return claims
