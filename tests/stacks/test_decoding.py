"""Where an object is clicked, and what is made of answers that differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from movies import SIZE, Threshold, disc, predictor
from napari_sam.engine import LoadedModel, Predictor, iou
from napari_sam.model import PromptTensors
from napari_sam.session import Region
from napari_sam.stacks.decoding import Decoded, clicks_in, decode_objects

CROSS = np.zeros((SIZE, SIZE), bool)
CROSS[10:50, 28:34] = CROSS[28:34, 10:50] = True


@dataclass(frozen=True)
class Shape:
    name: str
    mask: np.ndarray
    n_clicks: int


BAR = np.zeros((SIZE, SIZE), bool)
BAR[20:28, 5:55] = True
DUMBBELL = disc(30, 14, 8) | disc(30, 46, 8)
DUMBBELL[29:32, 14:46] = True
TAILED = disc(30, 20, 9)
TAILED[29:32, 20:55] = True

SHAPES = (
    Shape("a disc", disc(30, 30, 9), 1),
    Shape("one pixel", disc(30, 30, 0), 1),
    Shape("at the border", disc(0, 30, 9), 1),
    Shape("a bar", BAR, 3),
    Shape("two lobes", DUMBBELL, 2),
    Shape("a cell with a thin tail", TAILED, 1),
    Shape("a cross", CROSS, 3),
)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
def test_clicks(shape: Shape) -> None:
    clicks = clicks_in(Region.from_mask(shape.mask))
    assert len(clicks) == shape.n_clicks
    assert all(shape.mask[int(y), int(x)] for y, x in clicks)


def test_the_first_click_is_in_the_middle() -> None:
    assert clicks_in(Region.from_mask(disc(30, 33, 9))) == ((30.0, 33.0),)


class Partial(Threshold):
    """Sees a small part of an object where it is shown nothing but a click."""

    def decode(
        self, features: tuple[torch.Tensor, ...], prompts: PromptTensors
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits, scores = super().decode(features, prompts)
        if prompts.masks is None and prompts.boxes is None:
            part = torch.from_numpy(disc(30, 30, 4))
            logits = torch.where(part, logits.abs(), -6.0)
        return logits, scores


def decoded(seeing: Predictor, bright: np.ndarray, place: np.ndarray) -> Decoded:
    frame = np.repeat(np.where(bright, 200, 20).astype(np.uint8)[..., None], 3, axis=2)
    return next(decode_objects([Region.from_mask(place)], seeing.encode(frame), seeing))


def test_answers_that_agree() -> None:
    found = decoded(predictor(), disc(30, 30, 10), disc(30, 30, 9))
    assert iou(found.values > 0, Region.from_mask(disc(30, 30, 10)).within(found.window)) > 0.9
    assert found.agreement > 0.9


def test_a_part_does_not_count_but_tells_doubt() -> None:
    model = LoadedModel(Partial(), "partial", "0", torch.device("cpu"), "fp32")
    found = decoded(Predictor(model), disc(30, 30, 10), disc(30, 30, 10))
    assert iou(found.values > 0, Region.from_mask(disc(30, 30, 10)).within(found.window)) > 0.9
    assert found.agreement < 0.6


def test_what_is_empty_beside_an_object_is_given_up() -> None:
    """The place is twice as long as what is there: no answer clings to it."""
    place = disc(30, 26, 8) | disc(30, 34, 8)
    found = decoded(predictor(), disc(30, 26, 8), place)
    assert iou(found.values > 0, Region.from_mask(disc(30, 26, 8)).within(found.window)) > 0.95
