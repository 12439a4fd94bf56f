"""How good a network in training is: one click, a box, three clicks on objects it never learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Self

import numpy as np

from napari_sam.engine import Embedding, Predictor, Prompts, iou

from .clicks import Mask, bounding_box
from .data import AnnotatedFrame
from .evaluation.protocol import corrections, drawn_ids

MAX_OBJECTS = 100  # of all frames together: an answer in seconds, from one to the next the same
MAX_PER_FRAME = 10
N_CLICKS = 3


@dataclass(frozen=True)
class Figures:
    """Mean IoU over the objects of each source, and over the sources."""

    iou_click_1: float
    iou_box: float
    iou_click_3: float

    @property
    def mean(self) -> float:
        """The measure by which one state of a network is better than another."""
        return (self.iou_click_1 + self.iou_box + self.iou_click_3) / 3

    def as_json(self) -> dict[str, float]:
        """Plain numbers."""
        return {**asdict(self), "mean": self.mean}

    @classmethod
    def from_json(cls, numbers: dict[str, float]) -> Self:
        """Read a record of `as_json`."""
        return cls(numbers["iou_click_1"], numbers["iou_box"], numbers["iou_click_3"])

    def __str__(self) -> str:
        return (
            f"one click {self.iou_click_1:.3f}, box {self.iou_box:.3f}, "
            f"three clicks {self.iou_click_3:.3f}"
        )


@dataclass(frozen=True, eq=False)
class Case:
    """A frame and the objects requested in it."""

    frame: AnnotatedFrame
    ids: tuple[int, ...]
    embedding: Embedding | None = None  # where the image encoder stays as it is


class Validation:
    """The same objects, requested again and again.

    Parameters
    ----------
    frames
        Kept out of training.
    predictor
        Of a network whose image encoder will not change: the frames are encoded here, once.
    """

    def __init__(
        self, frames: Sequence[AnnotatedFrame], predictor: Predictor | None = None
    ) -> None:
        every = -(-len(frames) // MAX_OBJECTS)
        chosen = frames[::every]
        per_frame = min(MAX_PER_FRAME, -(-MAX_OBJECTS // len(chosen)))
        rng = np.random.default_rng(0)
        self.cases = [
            Case(
                frame,
                tuple(drawn_ids(frame, per_frame, rng).tolist()),
                predictor.encode(frame.image) if predictor else None,
            )
            for frame in chosen
        ]

    def figures(self, predictor: Predictor) -> Figures:
        """Prompt every object by the protocol of the evaluation."""
        per_source: dict[str, list[tuple[float, ...]]] = {}
        for case in self.cases:
            embedding = (
                replace(case.embedding)  # without what an earlier decoder made of it
                if case.embedding is not None
                else predictor.encode(case.frame.image)
            )
            found = per_source.setdefault(case.frame.source, [])
            found += [_ious(predictor, embedding, case.frame.labels == id_) for id_ in case.ids]
        means = np.mean([np.mean(ious, axis=0) for ious in per_source.values()], axis=0)
        return Figures(*means.tolist())


def _ious(predictor: Predictor, embedding: Embedding, truth: Mask) -> tuple[float, float, float]:
    """After one click, for the box around whole pixels, after three clicks."""
    steps = list(islice(corrections(predictor, embedding, truth), N_CLICKS))
    y0, x0, y1, x1 = bounding_box(truth)
    boxed = predictor.predict(
        embedding, Prompts.from_box((y0 - 0.5, x0 - 0.5, y1 + 0.5, x1 + 0.5))
    ).mask()
    return iou(steps[0].mask, truth), iou(boxed, truth), iou(steps[-1].mask, truth)
