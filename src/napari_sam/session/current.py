"""The current annotation of each object in each frame, and the list of objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from napari_sam.engine import FrameIndex, positions_of

from .annotation import Annotation, Key, ObjectSummary


class CurrentAnnotations:
    """Annotations by object and frame."""

    def __init__(self) -> None:
        self._objects: dict[int, dict[FrameIndex, Annotation]] = {}
        self._summaries: dict[int, ObjectSummary] = {}  # of objects that did not change since

    def __iter__(self) -> Iterator[tuple[Key, Annotation]]:
        """All current annotations, object by object."""
        for object_id, frames in self._objects.items():
            for frame, annotation in frames.items():
                yield (object_id, frame), annotation

    def get(self, key: Key) -> Annotation | None:
        """The current annotation of an object in a frame, or ``None``."""
        return self._objects.get(key[0], {}).get(key[1])

    def of(self, object_id: int) -> Mapping[FrameIndex, Annotation]:
        """The current annotations of an object, by frame."""
        return self._objects.get(object_id, {})

    def within(self, frame: FrameIndex) -> list[tuple[int, Annotation]]:
        """The current annotations of a frame, by object."""
        objects = sorted(self._objects.items())
        return [(object_id, frames[frame]) for object_id, frames in objects if frame in frames]

    @property
    def highest_id(self) -> int:
        """Of all objects; 0 if there are none."""
        return max(self._objects, default=0)

    def put(self, annotations: Mapping[Key, Annotation | None]) -> None:
        """Let these stand; ``None`` takes away what stood."""
        for (object_id, frame), annotation in annotations.items():
            self._summaries.pop(object_id, None)
            if annotation is not None:
                self._objects.setdefault(object_id, {})[frame] = annotation
            else:
                self._objects.get(object_id, {}).pop(frame, None)
                if not self._objects.get(object_id):
                    self._objects.pop(object_id, None)

    def objects(self) -> list[ObjectSummary]:
        """All objects that have pixels, by id."""
        for object_id, frames in self._objects.items():
            if object_id not in self._summaries:
                self._summaries[object_id] = _summary(object_id, frames)
        return [self._summaries[i] for i in sorted(self._summaries) if self._summaries[i].frames]

    def weakest(self, n: int | None) -> list[tuple[int, FrameIndex, float]]:
        """What is unconfirmed, ``(object, frame, score)``, that first which is worth most to mend.

        Worth is how doubtful a frame is, times how much of the object hangs on it: how doubtful it
        and those after it are that come from the same frame, each by its pixels in mean ones.
        """
        ranked = []
        for object_id, frames in self._objects.items():
            is_propagated = any(each.source is not None for each in frames.values())
            for run in _runs(frames).values() if is_propagated else ():
                scores = np.array([each.score for _, each in run], np.float64)
                areas = np.array([each.footprint.landed.area for _, each in run], np.float64)
                doubt = (1 - scores) * areas / max(areas.mean(), 1.0)
                worth = (1 - scores) * np.cumsum(doubt[::-1])[::-1]
                entries = zip(worth.tolist(), scores.tolist(), run, strict=True)
                ranked += [(-w, score, object_id, frame) for w, score, (frame, _) in entries]
            for frame, annotation in frames.items():  # on what was found nothing else hangs
                if annotation.found_by and annotation.score is not None:
                    worth_alone = -((1 - annotation.score) ** 2)
                    ranked.append((worth_alone, annotation.score, object_id, frame))
        ranked.sort(key=lambda entry: (*entry[:3], repr(entry[3])))
        return [(object_id, frame, score) for _, score, object_id, frame in ranked[:n]]


def _runs(
    frames: Mapping[FrameIndex, Annotation],
) -> dict[tuple[FrameIndex, bool], list[tuple[FrameIndex, Annotation]]]:
    """What was propagated of an object, by the frame it came from and the way, nearest first."""
    runs: dict[tuple[FrameIndex, bool], list[tuple[FrameIndex, Annotation]]] = {}
    for frame, annotation in sorted(frames.items(), key=lambda entry: positions_of(entry[0])):
        source = annotation.source
        if annotation.score is not None and source is not None and not annotation.is_anchor:
            is_after = positions_of(frame) > positions_of(source)
            runs.setdefault((source, is_after), []).append((frame, annotation))
    return {key: run if key[1] else run[::-1] for key, run in runs.items()}


def _summary(object_id: int, frames: Mapping[FrameIndex, Annotation]) -> ObjectSummary:
    shown = {f: a for f, a in frames.items() if a.footprint.landed}
    scores = [a.listed_score for a in shown.values()]
    return ObjectSummary(
        object_id,
        tuple(shown),
        min((score for score in scores if score is not None), default=None),
        sum(len(annotation.drawings) for annotation in shown.values()),
    )
