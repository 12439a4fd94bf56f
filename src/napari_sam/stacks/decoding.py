"""The network's answers for objects whose place in a frame is known, before any decision.

Every object is prompted three times, each time with clicks in the middle of its expected place:
with its mask there, with a loose box, and with nothing else. The mask's answer keeps to the mask,
the clicks' to the picture: their mean follows an outline that grows or retracts, and how much the
answers differ tells how far to trust it. Clicks alone may also mean a part of the object; an answer
that is much smaller does not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine import Prompts, iou

if TYPE_CHECKING:
    from napari_sam.engine import Embedding, Prediction, Predictor

from napari_sam.session.region import Region, Window

from .motion import diameter_of

MARGIN = 0.5  # diameters around an object's place in which it is looked for
SLACK = 0.1  # of a box's extent, on every side: the object may have grown
SUREST = 8.0  # logits; higher logits of an answer are clipped
MOST_CLICKS = 3  # a round object is known by one, a long or branched one is not
SHALLOWEST = 0.5  # of the first click's distance from the edge: thinner parts are not clicked
APART = 2.0  # of the same distance, from click to click
WHOLE = 0.5  # of its area; a smaller answer to clicks alone or to a box may be a part of it only


class Place(NamedTuple):
    """Where an object should be, and how a user would show it."""

    region: Region
    clicks: tuple[tuple[float, float], ...]  # yx, pixels of the frame

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Around the region, with some slack."""
        y0, x0, y1, x1 = self.region.window
        dy, dx = SLACK * (y1 - y0) + 0.5, SLACK * (x1 - x0) + 0.5
        return y0 - dy, x0 - dx, y1 - 1 + dy, x1 - 1 + dx


class Answer(NamedTuple):
    """The network's answer for one object, prompted in one way."""

    values: NDArray[np.float32]  # logits in the object's window
    iou_prediction: float
    stability: float


@dataclass(frozen=True, eq=False)
class Decoded:
    """The logits of one object in a frame: the higher, the more likely a pixel is its own."""

    window: Window
    values: NDArray[np.float32]  # logits
    iou_prediction: float
    stability: float
    agreement: float  # mean IoU of the masks that the network draws when asked in different ways


Asking: TypeAlias = Callable[[Place, tuple[int, int]], Prompts]


def decode_objects(
    regions: Sequence[Region], embedding: Embedding, predictor: Predictor
) -> Iterator[Decoded]:
    """The network's answers for all objects, prompted where each should be."""
    places = [Place(region, clicks_in(region)) for region in regions]
    windows = [
        _grown(region.window, MARGIN * diameter_of(region), embedding.frame_shape)
        for region in regions
    ]
    asked = [_ask(way, places, windows, embedding, predictor) for way in WAYS]
    for region, window, *answers in zip(regions, windows, *asked, strict=True):
        values = [np.clip(answer.values, -SUREST, SUREST) for answer in answers]
        whole = [v for v in values[1:] if np.count_nonzero(v > 0) >= WHOLE * region.area]
        yield Decoded(
            window,
            np.mean([values[0], *whole], axis=0, dtype=np.float32),
            mean(answer.iou_prediction for answer in answers),
            mean(answer.stability for answer in answers),
            float(mean(iou(one > 0, other > 0) for one, other in combinations(values, 2))),
        )


def clicks_in(region: Region) -> tuple[tuple[float, float], ...]:
    """Where to click on a region: farthest from its edge, then in its other thick parts."""
    depth = ndimage.distance_transform_edt(np.pad(region.pixels, 1))[1:-1, 1:-1]
    deepest = depth.max()
    rows, columns = np.ogrid[: depth.shape[0], : depth.shape[1]]
    clicks: list[tuple[float, float]] = []
    while len(clicks) < MOST_CLICKS and depth.max() >= SHALLOWEST * deepest:
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        clicks.append((float(region.top + row), float(region.left + column)))
        depth[(rows - row) ** 2 + (columns - column) ** 2 < (APART * deepest) ** 2] = 0
    return tuple(clicks)


def _by_mask(place: Place, frame_shape: tuple[int, int]) -> Prompts:
    mask = place.region.within((0, 0, *frame_shape))
    mask.flags.writeable = False  # so that it need not be copied
    return Prompts(place.clicks, (1,) * len(place.clicks), mask=mask)


def _by_box(place: Place, frame_shape: tuple[int, int]) -> Prompts:
    return Prompts(place.clicks, (1,) * len(place.clicks), box=place.box)


def _by_clicks(place: Place, frame_shape: tuple[int, int]) -> Prompts:
    return Prompts(place.clicks, (1,) * len(place.clicks))


WAYS: tuple[Asking, ...] = (_by_mask, _by_box, _by_clicks)


def _ask(
    way: Asking,
    places: Sequence[Place],
    windows: Sequence[Window],
    embedding: Embedding,
    predictor: Predictor,
) -> list[Answer]:
    """All objects in one way; those with as many clicks are decoded together."""
    order = sorted(range(len(places)), key=lambda n: len(places[n].clicks))
    prompts = (way(places[n], embedding.frame_shape) for n in order)
    predictions = predictor.predict_many(embedding, prompts, multimask=False)
    config = predictor.model.network.config
    stride = config.input_size // config.mask_size
    answers = {
        n: Answer(
            _logits_in(windows[n], prediction, embedding, stride),
            float(prediction.iou_predictions[0]),
            float(prediction.stability_scores[0]),
        )
        for n, prediction in zip(order, predictions, strict=True)
    }
    return [answers[n] for n in range(len(places))]


def _logits_in(
    window: Window, prediction: Prediction, embedding: Embedding, stride: int
) -> NDArray[np.float32]:
    """The logits in a window of the frame, bilinearly."""
    spans = zip(
        (window[0:3:2], window[1:4:2]), embedding.input_shape, embedding.frame_shape, strict=True
    )
    places = [
        (np.arange(first, end) + 0.5) * (n_input / n_frame / stride) - 0.5
        for (first, end), n_input, n_frame in spans
    ]
    logits: NDArray[np.float32] = ndimage.map_coordinates(
        prediction.low_res_logits[prediction.best],
        np.meshgrid(*places, indexing="ij"),
        order=1,
        mode="nearest",
    )
    return logits


def _grown(window: Window, margin: float, frame_shape: tuple[int, int]) -> Window:
    """A window with a margin, as far as the frame reaches."""
    more = math.ceil(margin)
    return (
        max(0, window[0] - more),
        max(0, window[1] - more),
        min(frame_shape[0], window[2] + more),
        min(frame_shape[1], window[3] + more),
    )
