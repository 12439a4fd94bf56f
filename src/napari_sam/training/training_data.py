"""Training data, and what is kept out of it for validation.

Whole images are kept out, never a frame that is also learned from. Where there is one image only, a
part of it is, and the figures say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import FrameError

from .clicks import bounding_box
from .data import FRAMES_PER_STACK, AnnotatedFrame, Item, frames_of
from .evaluation.protocol import MIN_AREA

VALIDATION = 5  # one image of so many is kept out
MIN_OBJECTS = 5
FEW_OBJECTS = 50
MANY_FRAMES = 48  # of all stacks together: of a single stack more frames are taken than of many

ONE_STACK = (
    "There is one stack only: its last frames are kept out. They resemble the others, so the "
    "figures are too optimistic; another stack is a better test."
)
ONE_IMAGE = (
    "There is one image only: a quarter of it is kept out. It resembles the rest, so the "
    "figures are too optimistic; another image is a better test."
)
NOTHING_KEPT = (
    "There is one image only, with too few objects to keep any out: the figures are of the objects "
    "learned from, and say nothing about other images."
)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Frames to learn from, others to judge by, and what is to be said about them."""

    training: list[AnnotatedFrame]
    validation: list[AnnotatedFrame]
    notes: tuple[str, ...] = ()


def read_training_data(items: Sequence[Item]) -> TrainingData:
    """Read annotated images; every fifth is kept out, or a part of one where there are too few.

    Raises
    ------
    FrameError
        If there are too few objects to learn from.
    """
    per_stack = max(FRAMES_PER_STACK, MANY_FRAMES // len(items))
    found = [(item, _frames(item, per_stack)) for item in items]
    empty = tuple(
        f"{item.labels} holds no object: left out." for item, frames in found if not frames
    )
    images = [frames for _, frames in found if frames]
    if not images:
        raise FrameError(
            f"The labels of {_count(len(items), 'image')} are empty. Annotate some objects first: "
            "1, 2, … on each, 0 elsewhere."
        )
    training, validation, note = _divided(images)
    notes = (*empty, _summary(training, validation), *([note] if note else []))
    return _checked(TrainingData(training, validation, notes))


def read_divided(learned: Sequence[Item], kept: Sequence[Item]) -> TrainingData:
    """Read images to learn from, and others to judge by.

    Raises
    ------
    FrameError
        If there are too few objects to learn from.
    """
    training, validation = (
        [frame for item in items for frame in _frames(item, FRAMES_PER_STACK)]
        for items in (learned, kept)
    )
    return _checked(TrainingData(training, validation, (_summary(training, validation),)))


def n_objects(frames: Sequence[AnnotatedFrame]) -> int:
    """How many objects of some size there are in frames."""
    return sum(int((np.bincount(frame.labels.ravel())[1:] >= MIN_AREA).sum()) for frame in frames)


def _frames(item: Item, n_frames: int) -> list[AnnotatedFrame]:
    """The frames of an item with objects that are large enough, numbered from 1."""
    frames = [replace(frame, labels=_numbered(frame)) for frame in frames_of(item, n_frames)]
    return [frame for frame in frames if n_objects([frame])]


def _numbered(frame: AnnotatedFrame) -> NDArray[np.int32]:
    """Labels 1, 2, … without gaps: ids may be in the millions. Negative ones are no objects."""
    ids, numbered = np.unique(np.maximum(frame.labels, 0), return_inverse=True)
    first = 0 if ids[0] == 0 else 1  # without any background, the first is an object already
    return (numbered.reshape(frame.labels.shape) + first).astype(np.int32)


def _divided(
    images: Sequence[list[AnnotatedFrame]],
) -> tuple[list[AnnotatedFrame], list[AnnotatedFrame], str]:
    """Frames to learn from, frames to judge by, and how far that can be trusted."""
    if len(images) > 1:
        kept = set(range(VALIDATION - 1, len(images), VALIDATION)) or {len(images) - 1}
        training = [frame for n, image in enumerate(images) if n not in kept for frame in image]
        return training, [frame for n in sorted(kept) for frame in images[n]], ""
    (frames,) = images
    if len(frames) > 1:
        n = len(frames) - max(1, len(frames) // VALIDATION)
        return frames[:n], frames[n:], ONE_STACK
    cut = _cut(frames[0])
    return ([cut[0]], [cut[1]], ONE_IMAGE) if cut else (frames, frames, NOTHING_KEPT)


def _cut(frame: AnnotatedFrame) -> tuple[AnnotatedFrame, AnnotatedFrame] | None:
    """Three quarters of a frame, and the last quarter without what the cut goes through."""
    height, width = frame.labels.shape
    axis = 0 if height >= width else 1
    at = 3 * max(height, width) // 4
    sides = [
        replace(frame, image=frame.image.take(part, axis), labels=frame.labels.take(part, axis))
        for part in (range(at), range(at, max(height, width)))
    ]
    ids = range(1, int(frame.labels.max()) + 1)
    whole = [id_ for id_ in ids if bounding_box(frame.labels == id_)[axis] >= at]
    kept = np.isin(sides[1].labels, whole)
    sides[1] = replace(sides[1], labels=np.where(kept, sides[1].labels, 0))
    if n_objects(sides[:1]) < MIN_OBJECTS or not n_objects(sides[1:]):
        return None
    return sides[0], sides[1]


def _checked(data: TrainingData) -> TrainingData:
    """Refuse what is too little to learn from, and warn about what is little."""
    n = n_objects(data.training)
    if n < MIN_OBJECTS or not data.validation:
        raise FrameError(
            f"There {'is' if n == 1 else 'are'} {_count(n, 'object')} of {MIN_AREA} pixels or more "
            f"to learn from; at least {MIN_OBJECTS} are needed, and some other images for "
            f"validation. Annotate more: {FEW_OBJECTS} objects in several images are a beginning."
        )
    if n >= FEW_OBJECTS:
        return data
    few = (
        f"{_count(n, 'object')} to learn from are few: the figures will vary, and other "
        "images may gain little. Annotate more if you can."
    )
    return replace(data, notes=(*data.notes, few))


def _summary(training: Sequence[AnnotatedFrame], validation: Sequence[AnnotatedFrame]) -> str:
    learned, judged = (
        f"{_count(n_objects(frames), 'object')} in {_count(len(frames), 'frame')}"
        for frames in (training, validation)
    )
    return f"{learned} to learn from; {judged} kept out for validation."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
