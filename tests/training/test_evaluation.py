"""The protocol against cases worked out by hand, with a network whose answers are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_sam.engine import LoadedModel, Predictor
from napari_sam.model import PocketConfig, PromptTensors
from napari_sam.training.data import AnnotatedFrame
from napari_sam.training.evaluation import (
    ObjectScore,
    ellipse_in,
    evaluate,
    macro,
    mean_score,
    otsu_regions,
    region_under,
)

SIZE = 32


class Painter(nn.Module):
    """A network that fills squares: radius 3 for its candidates but the second, which has 5.

    Every further positive click adds a square around it, every negative one takes it away; a box
    is filled. It ranks the candidate named at its making best.
    """

    config = PocketConfig("painter", input_size=SIZE, mask_size=SIZE)

    def __init__(self, ranked_best: int) -> None:
        super().__init__()
        self.ranked_best = ranked_best
        self.seeded: list[bool] = []

    def preprocess(self, image: Tensor) -> Tensor:
        return image.float()

    def encode(
        self, input: Tensor, progress: Callable[[int, int], None] | None = None
    ) -> tuple[Tensor, ...]:
        return (input,)

    def decode(self, features: tuple[Tensor, ...], prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        self.seeded.append(prompts.masks is not None)
        ys, xs = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
        logits = torch.full((1, 4, SIZE, SIZE), -1.0)
        if prompts.boxes is not None:
            x0, y0, x1, y1 = prompts.boxes[0]
            logits[:, :, (ys >= y0) & (ys <= y1) & (xs >= x0) & (xs <= x1)] = 1.0
        if prompts.points is not None and prompts.labels is not None:
            for (x, y), label in zip(prompts.points[0], prompts.labels[0], strict=True):
                distance = torch.maximum((ys - y).abs(), (xs - x).abs())
                for token, radius in enumerate((3, 3, 5, 3)):
                    logits[:, token, distance <= radius] = 1.0 if label else -1.0
        quality = torch.full((1, 4), 0.5)
        quality[0, self.ranked_best] = 0.9
        return logits, quality

    def upscale(
        self, low_res_logits: Tensor, input_shape: tuple[int, int], frame_shape: tuple[int, int]
    ) -> Tensor:
        return low_res_logits


def frame() -> AnnotatedFrame:
    """One square of 11 px around (15, 15), and one pixel of debris."""
    labels = np.zeros((SIZE, SIZE), np.int32)
    labels[10:21, 10:21] = 1
    labels[30, 30] = 2
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[labels == 1] = 200
    return AnnotatedFrame("square", image, labels)


def scored(painter: Painter, n_clicks: int = 3) -> ObjectScore:
    model = LoadedModel(painter, "painter", "0", torch.device("cpu"), "fp32")
    (score,) = evaluate(Predictor(model), [frame()], n_clicks=n_clicks)
    return score


def test_the_models_own_choice_is_scored() -> None:
    modest, bold = scored(Painter(1)), scored(Painter(2))
    assert modest.iou_clicks[0] == pytest.approx(7**2 / 11**2)
    assert bold.iou_clicks[0] == 1
    assert modest.iou_best_of_three == bold.iou_best_of_three == 1


def test_corrections() -> None:
    """The missed rim is 2 px wide and deepest at its corners: the next click, seeded, is (11, 11).

    It adds rows and columns 8 to 14 to the 12 to 18 of the first: 7 * 7 + 7 * 7 - 3 * 3 = 89 px,
    of which those in rows or columns 8 and 9 are outside: 2 * 7 + 5 * 2 = 24.
    """
    painter = Painter(1)
    score = scored(painter, n_clicks=2)
    assert painter.seeded == [False, True, False]
    assert score.iou_clicks[1] == pytest.approx((89 - 24) / (11**2 + 24))


def test_box_and_baselines() -> None:
    score = scored(Painter(1), n_clicks=1)
    assert score.iou_box == 1
    assert score.iou_ellipse == pytest.approx(ellipse_in((0, 0, 10, 10), (11, 11)).mean())
    assert score.iou_otsu > 0.8


def test_at_most_so_many_objects() -> None:
    labels = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((8, 8), int)).astype(np.int32)
    crowd = AnnotatedFrame("crowd", np.zeros((SIZE, SIZE, 3), np.uint8), labels)
    model = LoadedModel(Painter(1), "painter", "0", torch.device("cpu"), "fp32")
    scores = list(evaluate(Predictor(model), [crowd], max_objects=4, n_clicks=1))
    assert len(scores) == 4


def object_score(source: str, clicks: tuple[float, ...], box: float) -> ObjectScore:
    return ObjectScore(source, clicks, 0.5, box, 0.7, 0.3)


def test_mean_score_counts_clicks() -> None:
    score = mean_score(
        [
            object_score("a", (0.5, 0.7, 0.9, 0.7, 0.8), 0.6),  # 0.8 after three clicks
            object_score("a", (0.1,) * 9 + (0.2,), 0.8),  # never: counts as ten
        ]
    )
    assert (score.iou_click_1, score.iou_click_3, score.iou_click_5) == (
        pytest.approx(0.3),
        pytest.approx(0.5),
        pytest.approx(0.45),
    )
    assert score.noc_80 == 6.5
    assert score.iou_box == pytest.approx(0.7)


def test_macro_weighs_sources_alike() -> None:
    overall, per_source = macro(
        [object_score("many", (0.2,), 0.5)] * 3 + [object_score("few", (0.8,), 0.9)]
    )
    assert overall.iou_click_1 == pytest.approx(0.5)
    assert overall.iou_box == pytest.approx(0.7)
    assert overall.n_objects == 4
    assert per_source["many"].n_objects == 3


def test_ellipse_in_a_box() -> None:
    expected = [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]
    assert ellipse_in((1, 1, 3, 5), (5, 7)).astype(int).tolist() == expected


def test_otsu_regions_of_two_touching_disks() -> None:
    """The watershed parts them at the waist; a point beside them is in the dark region."""
    ys, xs = np.mgrid[:60, :100]
    left = (ys - 30) ** 2 + (xs - 34) ** 2 < 18**2
    right = (ys - 30) ** 2 + (xs - 64) ** 2 < 18**2
    image = np.repeat(np.where(left | right, 200, 20).astype(np.uint8)[..., None], 3, axis=-1)
    regions = otsu_regions(image)
    found = region_under(regions, (30, 30))
    assert (found & left).sum() > 0.9 * left.sum()
    assert not found[30, 66]
    ground = region_under(regions, (2, 2))
    assert ground[2, 2]
    assert not ground[left | right].any()


def test_otsu_of_a_constant_image() -> None:
    regions = otsu_regions(np.full((8, 8, 3), 9, np.uint8))
    assert region_under(regions, (3, 3)).all()
