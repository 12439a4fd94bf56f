"""Automatic segmentation judged on annotated images, beside the classical tool."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import (
    AutomaticOptions,
    FoundObject,
    FrameStack,
    Predictor,
    choose_method,
    find_objects,
    to_labels,
)
from napari_sam.training.data import AnnotatedFrame, FrameName, Item

from .evaluate import CLASSICAL, annotated_frames, no_objects
from .matching import Counts, FoundScore, Match, match
from .protocol import MIN_AREA, otsu_regions


@dataclass(frozen=True)
class PackedLabels:
    """Labels (H, W), compressed so that hundreds can be kept."""

    shape: tuple[int, ...]
    ids: bytes

    @classmethod
    def pack(cls, labels: NDArray[np.integer]) -> PackedLabels:
        """Labels of any type."""
        return cls(labels.shape, zlib.compress(labels.astype(np.uint32).tobytes(), 1))

    def unpack(self) -> NDArray[np.uint32]:
        """The labels again, (H, W)."""
        return np.frombuffer(zlib.decompress(self.ids), np.uint32).reshape(self.shape)


@dataclass(frozen=True)
class FrameResult:
    """What became of one frame."""

    source: str
    frame: FrameName
    match: Match
    classical: Match
    labels: PackedLabels  # what was found
    seconds: float  # encoding included


@dataclass(frozen=True)
class FoundScores:
    """What was reached: on average over the sources, and in each."""

    name: str
    overall: FoundScore
    per_source: dict[str, FoundScore]

    @classmethod
    def of(cls, name: str, matches: Iterable[tuple[str, Match]]) -> FoundScores:
        """From the matches of frames, each with its source: the objects of a source are pooled."""
        counts: dict[str, Counts] = {}
        for source, each in matches:
            counts[source] = counts[source] + each.counts if source in counts else each.counts
        per_source = {source: FoundScore.of(counts[source]) for source in sorted(counts)}
        return cls(name, FoundScore.mean(list(per_source.values())), per_source)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers: ``macro`` and ``per_source``; null where a measure is unknown."""
        return {
            "macro": _rounded(self.overall),
            "per_source": {source: _rounded(score) for source, score in self.per_source.items()},
        }


@dataclass(frozen=True)
class AutomaticEvaluation:
    """One model on all frames."""

    model: str
    hash: str
    method: str
    device: str
    precision: str
    results: tuple[FrameResult, ...]

    @property
    def scores(self) -> FoundScores:
        """What the model reached."""
        return FoundScores.of(self.model, ((each.source, each.match) for each in self.results))

    @property
    def classical(self) -> FoundScores:
        """What Otsu's threshold and a watershed reach."""
        return FoundScores.of(CLASSICAL, ((each.source, each.classical) for each in self.results))

    @property
    def frames(self) -> tuple[FrameName, ...]:
        """In which there are objects large enough."""
        return tuple(each.frame for each in self.results if each.match.counts.n_true)

    @property
    def seconds(self) -> float:
        """For all frames."""
        return sum(each.seconds for each in self.results)

    @property
    def seconds_a_frame(self) -> float:
        """Encoding included: the median."""
        return float(np.median([each.seconds for each in self.results]))

    def as_json(self) -> dict[str, Any]:
        """Plain numbers: means, the same of the classical tool, and times."""
        return {
            "model": self.model,
            "hash": self.hash,
            "method": self.method,
            **self.scores.as_json(),
            "classical": self.classical.as_json(),
            "timing": {
                "device": self.device,
                "precision": self.precision,
                "seconds_a_frame": round(self.seconds_a_frame, 3),
            },
        }


def evaluate_automatic(
    predictor: Predictor,
    items: Sequence[Item],
    options: AutomaticOptions | None = None,
    *,
    name: str | None = None,
    complete: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> AutomaticEvaluation:
    """Find the objects of annotated frames, and match them with the true ones.

    Parameters
    ----------
    items
        Annotated images; of stacks and time-lapses a few frames, evenly spaced.
    name
        What to call the model; by default its own name.
    complete
        Every object of every item is labelled. Otherwise only of those that say so themselves:
        of the others it is unknown which of the found objects are wrong.
    progress
        Called as ``progress(done, total)`` after every image.

    Raises
    ------
    FrameError
        If the labels hold no object that is large enough.
    """
    options = options or AutomaticOptions()
    model = predictor.model
    method = choose_method(options, model.network)
    frames = annotated_frames(_completed(items, complete), progress)
    results = tuple(segment_frame(predictor, frame, options) for frame in frames)
    evaluation = AutomaticEvaluation(
        name or model.name, model.hash, method, str(model.device), model.precision, results
    )
    if not evaluation.frames:
        raise no_objects(items)
    return evaluation


def _completed(items: Sequence[Item], complete: bool) -> list[Item]:
    return [replace(item, complete=item.complete or complete) for item in items]


def segment_frame(
    predictor: Predictor, frame: AnnotatedFrame, options: AutomaticOptions
) -> FrameResult:
    """Find the objects of one frame and match them, those of the classical tool as well."""
    stack = FrameStack.from_array(frame.image, axes="YXC")
    started = perf_counter()
    found = list(find_objects(predictor, stack, stack.index(), options))
    seconds = perf_counter() - started
    labels = to_labels(found, frame.labels.shape)
    return FrameResult(
        frame.source,
        frame.name,
        match(frame.labels, labels, _dropped(found), complete=frame.complete),
        match(frame.labels, otsu_objects(frame.image), complete=frame.complete),
        PackedLabels.pack(labels),
        seconds,
    )


def otsu_objects(image: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Objects (H, W) by Otsu's threshold and a watershed, on the side that the border has less of.

    Specks are left out.
    """
    regions = otsu_regions(image)
    bright = regions[0] > 0
    border = np.concatenate([bright[0], bright[-1], bright[:, 0], bright[:, -1]])
    labels = regions[0] if border.mean() <= 0.5 else regions[-1]
    is_object = np.bincount(labels.ravel()) >= MIN_AREA
    objects: NDArray[np.int32] = np.where(is_object[labels], labels, 0)
    return objects


def _dropped(found: Iterable[FoundObject]) -> Iterator[tuple[tuple[slice, slice], Any]]:
    return ((each.where, each.mask) for each in found if each.dropped and each.area)


def _rounded(score: FoundScore) -> dict[str, float | int | None]:
    return {
        name: None if math.isnan(value) else round(value, 4)
        for name, value in asdict(score).items()
    }
