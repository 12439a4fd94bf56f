"""More objects like some examples, in an image, a stack or other images, without a screen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import (
    AlikeOptions,
    EmbeddingCache,
    Examples,
    FoundObject,
    FrameError,
    FrameIndex,
    FrameStack,
    Predictor,
    PromptError,
    as_ids,
    choose_method,
    find_alike,
    is_blank,
    read_examples,
)
from napari_sam.session import Session, read_frame

from .automatic import Placed, Progress, place_found
from .stacks import seeded_session


def example_session(stack: FrameStack, labels: Any, frame: FrameIndex | None = None) -> Session:
    """A session whose labels hold examples.

    Parameters
    ----------
    labels
        Object ids, of the shape of the image; or ``(H, W)`` of one frame of a stack.
    frame
        That frame; by default the first.

    Raises
    ------
    FrameError
        If the labels have another shape, or hold no object.
    """
    if len(labels.shape) == 2 < stack.ndim or frame is not None:
        return seeded_session(stack, labels, frame or next(iter(stack.indices())))
    if tuple(labels.shape) != tuple(stack.shape):
        raise FrameError(
            f"Labels of shape {tuple(labels.shape)} are not those of an image of shape "
            f"{tuple(stack.shape)}. Give labels of this image, of all its frames."
        )
    return Session(stack, as_ids(labels[...]).copy())


def examples_in(
    session: Session,
    predictor: Predictor,
    object_ids: Collection[int] | None = None,
    *,
    cache: EmbeddingCache | None = None,
) -> Examples:
    """What objects in a session's labels look like, in all frames that hold them.

    Parameters
    ----------
    object_ids
        Which of them are examples; ``None``: all.

    Raises
    ------
    PromptError
        If none is labelled, one of those asked for has no pixel, or a frame with examples is blank.
    """
    cache = EmbeddingCache() if cache is None else cache
    missing = set(object_ids or ())
    parts = []
    for frame in session.stack.indices():
        labels = read_frame(session.labels, frame)
        there = set(np.unique(labels[labels > 0]).tolist())
        wanted = there if object_ids is None else there & set(object_ids)
        missing -= wanted
        if wanted:
            if is_blank(session.stack, frame):
                raise PromptError(
                    "There is nothing to see where the examples are: all pixels of that frame have "
                    "one value. Is it the right image, the right channel?"
                )
            parts.append(
                read_examples(predictor, session.stack, frame, labels, wanted, cache=cache)
            )
    if missing:
        raise PromptError(
            f"The example {min(missing)} has no pixel in these labels. Segment it, or leave it out."
        )
    if not parts:
        raise PromptError(
            "There is no example: no object is labelled. Segment one or more objects first."
        )
    return Examples.joined(parts)


def more_like_these(
    session: Session,
    predictor: Predictor,
    examples: Examples,
    options: AlikeOptions | None = None,
    frames: Iterable[FrameIndex] | None = None,
    *,
    cache: EmbeddingCache | None = None,
    progress: Progress | None = None,
) -> Iterator[Placed]:
    """Find all objects like the examples, frame by frame, and write them into the labels.

    Objects that are there already, the examples among them, stay as they are. Close the generator
    to stop; the frames that are done stay, and one undo takes all of them back.

    Parameters
    ----------
    examples
        By :func:`examples_in`, of this session or of one of another image.
    frames
        In their order; ``None``: all of the stack.
    progress
        Called as ``progress(done, total)`` in hundredths of a frame.

    Yields
    ------
    Every proposal of a frame, once all of it has landed; those that were dropped say why.

    Raises
    ------
    SamError
        If the model cannot do it by the method asked for, or the labels cannot hold so many
        objects.
    """
    options = options or AlikeOptions()
    cache = EmbeddingCache() if cache is None else cache
    choose_method(options, predictor.model.network)

    def find(
        frame: FrameIndex, annotated: NDArray[np.integer] | None, progress: Progress
    ) -> Iterator[FoundObject]:
        given = (predictor, session.stack, frame, examples, options)
        return find_alike(*given, annotated=annotated, cache=cache, progress=progress)

    yield from place_found(session, predictor, find, frames, cache=cache, progress=progress)
