"""Whose the pixels of a new mask are: an object is not made of what others leave over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import FrameIndex, Prompts
from napari_sam.engine.frames import round_half_up

from .annotation import Annotation, Key, Request
from .edits import LabelEdit
from .labels import AnnotatedLabels
from .region import Region

NEARLY_ALL = 0.8  # of a mask that is others': what is left is their border
MOST = 0.5  # the same, where each positive click is on others


def owner_of(
    mask: Region, prompts: Prompts, labels: Any, frame: FrameIndex, object_id: int
) -> int | None:
    """The object that a mask is already, all but a crumb of it; ``None`` if it is a new one.

    Parameters
    ----------
    mask
        What a network answered to the prompts for the object.
    labels
        Array of all frames.
    """
    if not mask:
        return None
    y0, x0, y1, x1 = mask.window
    ids = read_window(labels, frame, slice(y0, y1), slice(x0, x1))[mask.pixels]
    others = ids[(ids != 0) & (ids != object_id)]
    points = zip(prompts.points, prompts.labels, strict=True)
    clicked = [id_at(labels, frame, point) for point, label in points if label]
    on_others = bool(clicked) and all(each not in (0, object_id) for each in clicked)
    if len(others) < (MOST if on_others else NEARLY_ALL) * len(ids):
        return None
    values, counts = np.unique(others, return_counts=True)
    return int(values[np.argmax(counts)])


def losing_pixels(
    annotated: AnnotatedLabels, edit: LabelEdit, object_id: int
) -> dict[Key, Annotation]:
    """Annotations of other objects whose pixels an edit gives to an object."""
    after: dict[Key, Annotation] = {}
    for other in set(np.unique(edit.before).tolist()) - {0, object_id}:
        key = (other, edit.frame)
        if (current := annotated.current(*key)) is not None:
            lost = edit.changed.chosen(edit.before == other)
            footprint = current.footprint.after_stroke(current.footprint.landed.without(lost))
            after[key] = replace(current, footprint=footprint)
    return after


def owner_of_point(labels: Any, request: Request) -> int:
    """Another object in whose pixels the last point of a request lies; 0 if there is none."""
    points, signs = request.prompts.points, request.prompts.labels
    if not len(points) or signs[-1] != 1:
        return 0
    y, x = points[-1]
    owner = id_at(labels, request.frame, (float(y), float(x)))
    return owner if owner != request.object_id else 0


def id_at(labels: Any, frame: FrameIndex, point_yx: tuple[float, float]) -> int:
    """The id at a point of a frame; 0 outside of it."""
    y, x = map(round_half_up, point_yx)
    if y < 0 or x < 0:
        return 0
    pixel = read_window(labels, frame, slice(y, y + 1), slice(x, x + 1))
    return int(pixel[0, 0]) if pixel.size else 0


def read_window(labels: Any, frame: FrameIndex, rows: slice, columns: slice) -> NDArray[Any]:
    """The labels of a part of a frame."""
    spans = iter((rows, columns))
    return np.asarray(labels[tuple(next(spans) if i is None else i for i in frame)])
