"""Prompts of many objects and frames become masks: each frame is encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from napari_sam.engine import FrameStack, Prompts, PromptSet
from napari_sam.session import Answer, Request, drawings_of
from napari_sam.session.annotation import answered

if TYPE_CHECKING:
    from napari_sam.engine import CachedEmbedding, EmbeddingCache, Prediction, Predictor

Progress = Callable[[int, int], None]


def decode_prompts(
    prompts: PromptSet,
    stack: FrameStack,
    predictor: Predictor,
    cache: EmbeddingCache,
    progress: Progress | None = None,
) -> Iterator[Answer]:
    """Decode all prompts, frame by frame and object by object, in the order of their numbers.

    Close the generator to stop. Touches no session: any thread may do it.

    Parameters
    ----------
    prompts
        As :meth:`PromptSet.fitted` has them.
    progress
        Called as ``progress(done, total)`` in objects, also while a frame is encoded; what it
        raises stops the work.

    Yields
    ------
    One mask after the other, for `Session.land`.
    """
    total, done = len(prompts), 0

    def report(*_: int) -> None:
        if progress is not None:
            progress(done, total)

    order = sorted(prompts.objects, key=lambda each: (each.at or (), each.object_id))
    for at, objects in groupby(order, key=lambda each: each.at or ()):
        frame = stack.index(*at)
        report()
        cached = cache.embed(predictor, stack, frame, report)
        here = list(objects)
        shape = stack.frame_shape_of(frame)
        decoded = _decoded(predictor, cached, (each.in_frame(shape) for each in here))
        for each, prediction in zip(here, decoded, strict=True):
            drawings = drawings_of(each.prompts)
            request = Request(each.object_id, frame, each.prompts, drawings, None)
            answer = answered(request, prediction, predictor, cached)
            if each.mask is not None:  # further clicks correct what came of it
                answer = replace(answer, request=replace(request, base=answer.mask))
            yield answer
            done += 1
            report()


def _decoded(
    predictor: Predictor, cached: CachedEmbedding, prompts: Iterable[Prompts]
) -> Iterator[Prediction]:
    """What `Predictor.refine` says of each; those that take a single step together."""
    for in_one_step, alike in groupby(prompts, key=_takes_one_step):
        if in_one_step:
            yield from predictor.predict_many(cached.embedding, alike)
        else:
            yield from (predictor.refine(cached.embedding, each) for each in alike)


def _takes_one_step(prompts: Prompts) -> bool:
    has_more = prompts.box is not None or prompts.mask is not None
    return len(prompts.points) + has_more == 1
