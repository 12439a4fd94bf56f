"""What runs in a worker's thread to find objects: proposals, decisions, what is to land."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_sam.engine import (
    AlikeOptions,
    AutomaticOptions,
    EmbeddingCache,
    FoundObject,
    FrameIndex,
    FrameStack,
    PlacedMask,
    decide,
    is_large,
)
from napari_sam.session import Claim, FrameLabels, free_regions

from .jobs import Report
from .tasks import encoding

if TYPE_CHECKING:
    from napari_sam.engine import Examples, Predictor

Proposals: TypeAlias = tuple[FoundObject, ...]
Searched: TypeAlias = tuple[FrameIndex, Proposals, "Likeness | None"]


@dataclass(frozen=True, eq=False)
class Likeness:
    """What the proposals of a frame look like, and the examples they are compared with."""

    looks: Any  # (N, D)
    examples: Examples


@dataclass(frozen=True, eq=False)
class ExampleObjects:
    """The objects that the user chose as examples."""

    stack: FrameStack
    masks: Mapping[FrameIndex, Sequence[PlacedMask]]

    def read(self, cache: EmbeddingCache, predictor: Predictor) -> Examples:
        """What they look like."""
        from napari_sam.engine import Examples, examples_of

        return Examples.joined(
            [
                examples_of(predictor, self.stack, frame, masks, cache=cache)
                for frame, masks in self.masks.items()
            ]
        )


def find(
    cache: EmbeddingCache,
    predictor: Predictor,
    stack: FrameStack,
    frames: Sequence[FrameIndex],
    options: AutomaticOptions,
    labels: Any,
    chosen: ExampleObjects | None,
    report: Report,
) -> Iterator[Searched]:
    """What may be an object in each of some frames. It reports in hundredths of a frame.

    With examples chosen: what may be like them. The options are those for it.
    """
    from napari_sam.engine import propose  # torch, and the window opens without it

    report = encoding(report)
    examples = None if chosen is None else chosen.read(cache, predictor)
    for n, frame in enumerate(frames):

        def progress(done: int, total: int, n: int = n) -> None:
            report(100 * n + 100 * done // total, 100 * len(frames))

        def encoding_on(block: int, n_blocks: int, n: int = n) -> None:
            report(100 * n, 100 * len(frames))

        progress(0, 1)
        if not is_large(stack.frame_shape_of(frame), predictor.model.network.config.input_size):
            cache.embed(predictor, stack, frame, encoding_on)  # what is more urgent is done between
        if examples is not None and chosen is not None and isinstance(options, AlikeOptions):
            annotated = FrameLabels(labels, frame)
            yield _alike(predictor, stack, frame, examples, options, annotated, cache, progress)
        else:
            found = propose(predictor, stack, frame, options, cache=cache, progress=progress)
            yield frame, tuple(found), None


def _alike(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    examples: Examples,
    options: AlikeOptions,
    annotated: Any,
    cache: EmbeddingCache,
    progress: Report,
) -> Searched:
    from napari_sam.engine import propose_alike

    given = (predictor, stack, frame, examples, options)
    found = propose_alike(*given, annotated=annotated, cache=cache, progress=progress)
    return frame, found.found, Likeness(found.looks, examples)


def read_chosen(
    cache: EmbeddingCache, predictor: Predictor, chosen: ExampleObjects, report: Report
) -> Examples:
    """What the examples look like now, to compare with what was found before."""
    return chosen.read(cache, predictor)


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
    likeness: Likeness | None = None  # where they are compared with examples

    def made(self) -> Proposals:
        """The proposals, each with why it does not stand if so."""
        annotated = FrameLabels(self.labels, self.frame, self.replaced)
        if self.likeness is None or not isinstance(self.options, AlikeOptions):
            return tuple(decide(self.proposals, self.options, self.frame_shape, annotated))
        from napari_sam.engine import Compared, decide_alike

        compared = Compared(self.proposals, self.likeness.looks)
        given = (self.likeness.examples, self.options, self.frame_shape, annotated)
        return tuple(decide_alike(compared, *given))


def show_decision(
    decision: Decision,
    draw: Callable[[Proposals, Collection[int]], Any] | None,
    report: Report,
) -> tuple[Proposals, Any]:
    """The proposals decided, and a picture of them where one is wanted."""
    decided = decision.made()
    chosen = decision.chosen or ()
    return decided, None if draw is None else draw(decided, chosen)


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
        claims.append((each.frame, free_regions(decided)))
    return claims
