"""Many single clicks in one embedding to proposals: what is not worth a mask gets none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam.engine.masks import stability_score
from napari_sam.engine.prediction import Prediction
from napari_sam.engine.predictor import Embedding, Predictor
from napari_sam.engine.prompts import Point, Prompts
from napari_sam.engine.tiles import Window
from napari_sam.model import Upscaling

from .found import FoundObject

NEAR = 20  # pixels from the edge of a crop within which an object counts as cut off by it
MARGIN = 0.1  # how far the stability of a large mask at low resolution is from that of the frame
LARGE = 400  # low-res pixels of a mask for which that holds


@dataclass(frozen=True)
class Worth:
    """Which masks of a click are kept: what is below is neither upscaled nor kept."""

    method: Literal["grid", "seeds"]
    score: float  # IoU prediction
    stability: float
    offset: float = 1.0  # of the two cuts of the stability score, in logits


@dataclass(frozen=True)
class Place:
    """The part of a frame that an embedding was made of."""

    frame_shape: tuple[int, int]
    crop: Window | None = None  # None: the whole frame

    @property
    def corner(self) -> tuple[int, int]:
        """y and x of its first pixel."""
        return self.crop[:2] if self.crop else (0, 0)

    def cuts(self, window: Window) -> bool:
        """Whether an object ends near an edge of the crop that is none of the frame."""
        if self.crop is None:
            return False
        whole = (0, 0, *self.frame_shape)
        y0, x0, y1, x1 = window
        edges = (y0, x0, y1 - 1, x1 - 1)  # the outermost pixels, as segment-anything has them
        return any(
            abs(at - edge) <= NEAR < abs(at - border)
            for at, edge, border in zip(edges, self.crop, whole, strict=True)
        )


def decode_points(
    predictor: Predictor,
    embedding: Embedding,
    points: Iterable[Point],
    worth: Worth,
    place: Place,
    at_once: int | None = None,
) -> Iterator[list[FoundObject]]:
    """Decode single clicks: for each its candidates, with masks where they are worth it.

    Parameters
    ----------
    points
        yx in pixels of what was encoded.
    at_once
        Clicks decoded together; ``None``: as many as keep the device busy.
    """
    upscaling: Upscaling | None = None
    clicks = list(points)
    predictions = predictor.predict_many(
        embedding,
        (Prompts.from_points([point]) for point in clicks),
        multimask=True,
        least_iou=worth.score,
        at_once=at_once,
    )
    for point, prediction in zip(clicks, predictions, strict=True):
        if upscaling is None:
            upscaling = _upscaling(prediction, predictor, embedding)
        candidates = zip(prediction.iou_predictions, prediction.low_res_logits, strict=True)
        yield [
            _found(logits, float(score), point, worth, place, upscaling)
            for score, logits in candidates
        ]


def _upscaling(prediction: Prediction, predictor: Predictor, embedding: Embedding) -> Upscaling:
    config = predictor.model.network.config
    _, *low = prediction.low_res_logits.shape
    stride = config.input_size // config.mask_size
    return Upscaling((low[0], low[1]), stride, embedding.input_shape, embedding.frame_shape)


def _found(
    logits: NDArray[np.float32],
    score: float,
    point: Point,
    worth: Worth,
    place: Place,
    upscaling: Upscaling,
) -> FoundObject:
    """One candidate in the frame's pixels; without any, if it is not worth them."""
    top, left = place.corner
    clicked = (point[0] + top, point[1] + left)
    unseen = FoundObject.unseen(clicked, worth.method, score=score, crop=place.crop)
    if score < worth.score:
        return unseen
    if np.count_nonzero(logits > 0) >= LARGE:
        stability = float(stability_score(logits, offset=worth.offset))
        if stability < worth.stability - MARGIN:
            return replace(unseen, stability=stability)
    rows, columns, mask, stability = upscaling.cut(torch.from_numpy(logits), worth.offset)
    unseen = replace(unseen, stability=stability)
    if stability < worth.stability:
        return unseen
    found = unseen.with_mask(mask.numpy(), top + rows.start, left + columns.start)
    return replace(found, cut_off=bool(found.area) and place.cuts(found.window))
