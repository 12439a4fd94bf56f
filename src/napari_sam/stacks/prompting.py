"""Prompts of many objects and frames become masks: each frame is encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from napari_sam.engine import FrameStack, Prompts, PromptSet, crops_to_look_at, is_large, look
from napari_sam.session import Answer, Request, drawings_of
from napari_sam.session.annotation import answered

if TYPE_CHECKING:
    from napari_sam.engine import CachedEmbedding, EmbeddingCache, Prediction, Predictor
    from napari_sam.engine.where_to_look import Embed

Progress = Callable[[int, int], None]


def decode_prompts(
    prompts: PromptSet,
    stack: FrameStack,
    predictor: Predictor,
    cache: EmbeddingCache,
    progress: Progress | None = None,
    *,
    cell_size: float | None = None,
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
    cell_size
        Diameter of the cells in pixels, where it is known.

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
        here, shape = list(objects), stack.frame_shape_of(frame)
        embed = partial(cache.embed, predictor, stack, frame, report)
        decoded = _decoded(
            predictor, embed, (each.in_frame(shape) for each in here), shape, cell_size
        )
        for each, (cached, prediction) in zip(here, decoded, strict=True):
            drawings = drawings_of(each.prompts)
            request = Request(
                each.object_id, frame, each.prompts, drawings, None, diameter=cell_size
            )
            answer = answered(request, prediction, predictor, cached)
            if each.mask is not None:  # further clicks correct what came of it
                answer = replace(answer, request=replace(request, base=answer.mask))
            yield answer
            done += 1
            report()


def _decoded(
    predictor: Predictor,
    embed: Embed,
    prompts: Iterable[Prompts],
    frame_shape: tuple[int, int],
    diameter: float | None,
) -> Iterator[tuple[CachedEmbedding, Prediction]]:
    """What `Predictor.refine` says of each, and of which embedding; in a large frame of a crop.

    In a frame that is looked at as a whole, those that take a single step are decoded together.
    """
    if is_large(frame_shape):
        for each in prompts:
            crops = crops_to_look_at(each, frame_shape, diameter)
            yield look(embed, predictor, each, crops, frame_shape, diameter=diameter)
        return
    cached = embed(None)
    refine = partial(predictor.refine, cached.embedding, diameter=diameter)
    for in_one_step, alike in groupby(prompts, key=_takes_one_step):
        if in_one_step:
            predictions = predictor.predict_many(cached.embedding, alike, diameter=diameter)
        else:
            predictions = map(refine, alike)
        yield from ((cached, prediction) for prediction in predictions)


def _takes_one_step(prompts: Prompts) -> bool:
    has_more = prompts.box is not None or prompts.mask is not None
    return len(prompts.points) + has_more == 1
