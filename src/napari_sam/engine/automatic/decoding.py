"""Many single clicks in one embedding to proposals: what is not worth a mask gets none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam.engine.masks import stability_score
from napari_sam.engine.predictor import Embedding, Predictor
from napari_sam.engine.prompts import Point, Prompts
from napari_sam.model import Upscaling

from .found import FoundObject, Window

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
    """Decode single clicks: for each, its candidates that are worth it.

    Parameters
    ----------
    points
        yx in pixels of what was encoded.
    at_once
        Clicks decoded together; ``None``: as many as keep the device busy.
    """
    upscaling = _upscaling(predictor, embedding)
    clicks = list(points)
    predictions = predictor.predict_many(
        embedding,
        (Prompts.from_points([point]) for point in clicks),
        multimask=True,
        least_iou=worth.score,
        at_once=at_once,
    )
    for point, prediction in zip(clicks, predictions, strict=True):
        candidates = zip(prediction.iou_predictions, prediction.low_res_logits, strict=True)
        found = (
            _found(logits, float(score), point, worth, place, upscaling)
            for score, logits in candidates
            if score >= worth.score
        )
        yield [each for each in found if each is not None]


def _upscaling(predictor: Predictor, embedding: Embedding) -> Upscaling:
    config = predictor.model.network.config
    stride = config.input_size // config.mask_size
    padded = [16 * n // stride for n in embedding.features.shape[-2:]]
    return Upscaling((padded[0], padded[1]), stride, embedding.input_shape, embedding.frame_shape)


def _found(
    logits: NDArray[np.float32],
    score: float,
    point: Point,
    worth: Worth,
    place: Place,
    upscaling: Upscaling,
) -> FoundObject | None:
    """One candidate in the frame's pixels, if it is stable enough."""
    if np.count_nonzero(logits > 0) >= LARGE:
        estimate = stability_score(logits, offset=worth.offset)
        if estimate < worth.stability - MARGIN:
            return None
    rows, columns, mask, stability = upscaling.cut(torch.from_numpy(logits), worth.offset)
    if stability < worth.stability:
        return None
    top, left = place.corner
    found = FoundObject.from_mask(
        mask.numpy(),
        top + rows.start,
        left + columns.start,
        score=score,
        stability=stability,
        point=(point[0] + top, point[1] + left),
        method=worth.method,
        crop=place.crop,
    )
    return found and found.cut(place.cuts(found.window))
