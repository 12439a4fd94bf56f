"""Models judged by the protocol on a folder of annotated images, beside the classical tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from napari_sam.engine import FrameError, Predictor
from napari_sam.training.data import AnnotatedFrame, FrameName, Item, frames_of

from .protocol import MIN_AREA, ObjectScore, Score, Trial, macro, trials

CLASSICAL = "classical tools"


@dataclass(frozen=True)
class ModelScores:
    """Scores of a model or of the classical tools: the mean over the sources, and each source."""

    name: str
    overall: Score
    per_source: dict[str, Score]
    curve: tuple[float, ...]  # mean IoU after 1, 2, … clicks
    curves: dict[str, tuple[float, ...]]  # the same of each source

    @classmethod
    def of(cls, name: str, scores: Sequence[ObjectScore]) -> ModelScores:
        """Means over the objects of each source, and over the sources."""
        overall, per_source = macro(scores)
        curves = {
            source: _mean([score.iou_clicks for score in scores if score.source == source])
            for source in per_source
        }
        return cls(name, overall, per_source, _mean(list(curves.values())), curves)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers: ``macro`` and ``per_source``."""
        return {
            "macro": _rounded(self.overall, self.curve),
            "per_source": {
                source: _rounded(score, self.curves[source])
                for source, score in self.per_source.items()
            },
        }


@dataclass(frozen=True)
class Evaluation:
    """One model on all objects."""

    model: str
    hash: str
    device: str
    precision: str
    seconds: float
    trials: tuple[Trial, ...]

    @property
    def scores(self) -> ModelScores:
        """Scores of the model."""
        return ModelScores.of(self.model, [trial.score for trial in self.trials])

    @property
    def classical(self) -> ModelScores:
        """Scores of the classical tools with the same prompts."""
        return ModelScores.of(CLASSICAL, [classical_score(trial) for trial in self.trials])

    @property
    def frames(self) -> tuple[FrameName, ...]:
        """In which objects were judged, in their order."""
        return tuple(dict.fromkeys(trial.frame for trial in self.trials))

    @property
    def encode_ms(self) -> float:
        """Median over the frames."""
        per_frame = {trial.frame: trial.encode_ms for trial in self.trials}
        return float(np.median(list(per_frame.values())))

    @property
    def click_ms(self) -> float:
        """From a click to its mask: median over the objects."""
        return float(np.median([trial.click_ms for trial in self.trials]))

    def as_json(self) -> dict[str, Any]:
        """Plain numbers: means, the same of the classical tools, and times."""
        return {
            "model": self.model,
            "hash": self.hash,
            **self.scores.as_json(),
            "classical": self.classical.as_json(),
            "timing": {
                "device": self.device,
                "precision": self.precision,
                "encode_ms": round(self.encode_ms, 1),
                "click_ms": round(self.click_ms, 1),
                "seconds": round(self.seconds, 1),
            },
        }


def evaluate_model(
    predictor: Predictor,
    items: Sequence[Item],
    *,
    name: str | None = None,
    max_objects: int = 10,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Put a model through the protocol.

    Parameters
    ----------
    items
        Annotated images; of stacks and time-lapses a few frames, evenly spaced.
    name
        What to call the model; by default its own name.
    max_objects
        Of each frame, drawn at random.
    progress
        Called as ``progress(done, total)`` after every image.

    Raises
    ------
    FrameError
        If the labels hold no object that is large enough.
    """
    started = perf_counter()
    frames = annotated_frames(items, progress)
    found = tuple(trials(predictor, frames, max_objects=max_objects, seed=seed))
    if not found:
        raise no_objects(items)
    model = predictor.model
    seconds = perf_counter() - started
    return Evaluation(
        name or model.name, model.hash, str(model.device), model.precision, seconds, found
    )


def no_objects(items: Sequence[Item]) -> FrameError:
    """What is wrong with labels that hold nothing to judge."""
    return FrameError(
        f"The labels of {len(items)} images hold no object of {MIN_AREA} pixels or more. "
        "Annotate some objects first: 1, 2, … on each, 0 elsewhere."
    )


def classical_score(trial: Trial) -> ObjectScore:
    """Scores of simple tools: Otsu's regions for the clicks, the filled ellipse for the box."""
    return replace(
        trial.score,
        iou_clicks=trial.otsu_clicks,
        iou_best_of_three=trial.otsu_clicks[0],
        iou_box=trial.score.iou_ellipse,
    )


def annotated_frames(
    items: Sequence[Item], progress: Callable[[int, int], None] | None
) -> Iterator[AnnotatedFrame]:
    """The frames of all items; ``progress(done, total)`` is called after every item."""
    for n, item in enumerate(items, start=1):
        yield from frames_of(item)
        if progress is not None:
            progress(n, len(items))


def _mean(curves: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(float(value) for value in np.mean(curves, axis=0))


def _rounded(score: Score, curve: tuple[float, ...]) -> dict[str, Any]:
    numbers = {name: round(value, 4) for name, value in asdict(score).items()}
    return {**numbers, "iou_clicks": [round(value, 4) for value in curve]}
