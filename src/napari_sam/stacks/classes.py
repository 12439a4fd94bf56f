"""Classes proposed for the objects of an image or a stack, from those that the user gave."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import (
    EmbeddingCache,
    FrameIndex,
    FrameStack,
    measured_features,
    pooled_features,
    propose_classes,
)
from napari_sam.engine.features import placed_mask
from napari_sam.engine.masks import windows_of
from napari_sam.session import Session, read_frame

if TYPE_CHECKING:
    from napari_sam.engine import Predictor

VIEWS = 5  # frames in which an object is looked at, spread over all that it is in

Window: TypeAlias = tuple[slice, ...]  # rows and columns of a frame
Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Classified:
    """The objects of a session as they are at one moment, and their classes.

    Attributes
    ----------
    changed
        The number of the last change of each frame.
    examples
        The class of each object that the user gave one.
    """

    stack: FrameStack
    labels: Any
    changed: Mapping[FrameIndex, int]
    examples: Mapping[int, str]

    @classmethod
    def of(cls, session: Session) -> Classified:
        """The objects of a session."""
        own = {i: each.name for i, each in session.classes.given.items() if each.is_own}
        return cls(session.stack, session.labels, dict(session.changed), own)


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen of one object in one frame."""

    pixels: bytes  # a hash of them
    seen: NDArray[np.float32]
    measured: NDArray[np.float32]


class ObjectFeatures:
    """What was seen of objects, kept until their pixels, the image or the model are others.

    Not safe for several threads: one worker owns it.
    """

    def __init__(self) -> None:
        self._made_with: tuple[FrameStack, str] | None = None
        self._windows: dict[FrameIndex, tuple[int, dict[int, Window]]] = {}
        self._looks: dict[FrameIndex, dict[int, Look]] = {}

    def propose(
        self,
        objects: Classified,
        predictor: Predictor,
        cache: EmbeddingCache,
        progress: Progress = lambda done, total: None,
    ) -> dict[int, tuple[str, float]]:
        """Propose a class for each object: its name and probability, by the object's id.

        Each object is looked at in up to five frames, spread over all that it is in.

        Parameters
        ----------
        progress
            Called as ``progress(done, total)``, in hundredths of a frame; what it raises stops.

        Raises
        ------
        SamError
            If fewer than two classes have an example.
        """
        made_with = (objects.stack, predictor.model.hash)
        if self._made_with != made_with:
            self._made_with = made_with
            self._windows.clear()
            self._looks.clear()
        views = self._views(objects, progress)
        wanted: dict[FrameIndex, list[int]] = {}
        for object_id, frames in views.items():
            for frame in frames:
                if object_id not in self._looks.get(frame, {}):
                    wanted.setdefault(frame, []).append(object_id)
        for n, (frame, ids) in enumerate(wanted.items()):
            report = partial(_report_within, progress, n, len(wanted))
            self._look(objects, frame, ids, predictor, cache, report)
        ids = sorted(views)
        looks = [[self._looks[frame][object_id] for frame in views[object_id]] for object_id in ids]
        seen, measured = (
            np.array([np.mean([getattr(each, kind) for each in its], 0) for its in looks])
            for kind in ("seen", "measured")
        )
        known = [objects.examples.get(object_id) for object_id in ids]
        return dict(zip(ids, propose_classes(seen, measured, known), strict=True))

    def _views(self, objects: Classified, progress: Progress) -> dict[int, list[FrameIndex]]:
        """The frames to look at each object in."""
        frames: dict[int, list[FrameIndex]] = {}
        for frame in objects.stack.indices():
            change = objects.changed.get(frame, 0)
            if self._windows.get(frame, (-1, {}))[0] != change:
                progress(0, 1)
                pixels = read_frame(objects.labels, frame)
                self._windows[frame] = (change, windows_of(pixels))
                self._forget_changed(frame, pixels)
            for object_id in self._windows[frame][1]:
                frames.setdefault(object_id, []).append(frame)
        return {object_id: _spread(its) for object_id, its in frames.items()}

    def _forget_changed(self, frame: FrameIndex, pixels: NDArray[np.integer]) -> None:
        """Forget what was seen of objects whose pixels in a frame are others by now."""
        windows, looks = self._windows[frame][1], self._looks.get(frame, {})
        self._looks[frame] = {
            object_id: look
            for object_id, look in looks.items()
            if object_id in windows
            and look.pixels == _hash(*placed_mask(pixels, object_id, windows[object_id]))
        }

    def _look(
        self,
        objects: Classified,
        frame: FrameIndex,
        ids: Sequence[int],
        predictor: Predictor,
        cache: EmbeddingCache,
        progress: Progress,
    ) -> None:
        """Look at objects in a frame, which is encoded for it where that is not done."""
        windows, pixels = self._windows[frame][1], read_frame(objects.labels, frame)
        masks = [placed_mask(pixels, object_id, windows[object_id]) for object_id in ids]
        embedding = cache.embed(predictor, objects.stack, frame, progress).embedding
        seen = pooled_features(embedding, masks)
        measured = measured_features(objects.stack.frame(frame), embedding.frame_shape, masks)
        looks = self._looks.setdefault(frame, {})
        for object_id, placed, *features in zip(ids, masks, seen, measured, strict=True):
            looks[object_id] = Look(_hash(*placed), *features)


def _hash(window: tuple[int, ...], mask: NDArray[np.bool_]) -> bytes:
    return hashlib.blake2b(repr(window).encode() + mask.tobytes(), digest_size=8).digest()


def _spread(frames: Sequence[FrameIndex]) -> list[FrameIndex]:
    """A few of many, from the first to the last."""
    at = np.linspace(0, len(frames) - 1, min(VIEWS, len(frames))).round().astype(int)
    return [frames[n] for n in at]


def _report_within(progress: Progress, n: int, n_frames: int, done: int, total: int) -> None:
    progress(100 * n + 100 * done // total, 100 * n_frames)


def propose_in(
    session: Session,
    predictor: Predictor,
    cache: EmbeddingCache | None = None,
    progress: Progress = lambda done, total: None,
) -> dict[int, tuple[str, float]]:
    """Propose classes for the objects of a session, from those that have one: what `take_proposals`
    makes of it is one step of undo.

    Parameters
    ----------
    cache
        Where embeddings are found and kept; by default in memory, for this call.
    progress
        As in :meth:`ObjectFeatures.propose`.

    Raises
    ------
    SamError
        If fewer than two classes have an example.
    """
    cache = EmbeddingCache() if cache is None else cache
    return ObjectFeatures().propose(Classified.of(session), predictor, cache, progress)
