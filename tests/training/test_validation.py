"""Figures of a network whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_sam.engine import Predictor
from napari_sam.training.data import AnnotatedFrame
from napari_sam.training.validation import MAX_OBJECTS, Figures, Validation
from painter import SIZE, Painter, painting
from small_runs import disks, tiny_sam


def square(source: str, size: int) -> AnnotatedFrame:
    """A square around (15, 15), and a pixel of debris that is not requested."""
    labels = np.zeros((SIZE, SIZE), np.int32)
    reach = size // 2
    labels[15 - reach : 16 + reach, 15 - reach : 16 + reach] = 1
    labels[31, 31] = 2
    return AnnotatedFrame(source, np.zeros((SIZE, SIZE, 3), np.uint8), labels)


def test_figures_are_means_over_sources() -> None:
    """The painter fills 7 x 7 px at a click, all of a box; two frames of a count as one source."""
    frames = [square("a", 11), square("a", 11), square("b", 7)]
    figures = Validation(frames).figures(painting(Painter(1)))
    assert figures.iou_click_1 == pytest.approx((49 / 121 + 1) / 2)
    assert figures.iou_box == 1
    assert figures.iou_click_3 > figures.iou_click_1
    assert figures.mean == pytest.approx(
        (figures.iou_click_1 + figures.iou_box + figures.iou_click_3) / 3
    )


def test_at_most_so_many_objects() -> None:
    crowd = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((8, 8), int)).astype(np.int32)
    frame = replace(square("crowd", 11), labels=crowd)
    few, many = Validation([frame] * 3), Validation([frame] * 2 * MAX_OBJECTS)
    assert [len(case.ids) for case in few.cases] == [10] * 3
    assert sum(len(case.ids) for case in many.cases) == MAX_OBJECTS


def test_a_frozen_encoder_is_asked_once() -> None:
    """Embeddings are kept, but not what an earlier decoder made of them."""
    first, second = Predictor(tiny_sam(0)), Predictor(tiny_sam(1))
    frames = [disks(0), disks(1)]
    kept = Validation(frames, first)
    kept.figures(first)
    assert kept.figures(first) == Validation(frames).figures(first)

    # Another decoder behind the same encoder, under the same name as in a training
    network = second.model.network
    network.image_encoder = first.model.network.image_encoder
    other = Predictor(replace(first.model, network=network))
    assert kept.figures(other) == Validation(frames).figures(other)


def test_figures_as_plain_values() -> None:
    figures = Figures(0.25, 0.5, 0.75)
    assert Figures.from_json(figures.as_json()) == figures
    assert figures.as_json()["mean"] == 0.5
    assert str(figures) == "one click 0.250, box 0.500, three clicks 0.750"
