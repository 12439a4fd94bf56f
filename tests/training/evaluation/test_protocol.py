"""The protocol against cases worked out by hand, with a network whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_sam.training.data import AnnotatedFrame
from napari_sam.training.evaluation.protocol import (
    ObjectScore,
    PackedMask,
    ellipse_in,
    evaluate,
    macro,
    mean_score,
    otsu_clicks,
    otsu_regions,
    region_under,
    trials,
)
from painter import SIZE, Painter, painting


def frame() -> AnnotatedFrame:
    """One square of 11 px around (15, 15), and one pixel of debris."""
    labels = np.zeros((SIZE, SIZE), np.int32)
    labels[10:21, 10:21] = 1
    labels[30, 30] = 2
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[labels == 1] = 200
    return AnnotatedFrame("square", image, labels)


def scored(painter: Painter, n_clicks: int = 3) -> ObjectScore:
    (score,) = evaluate(painting(painter), [frame()], n_clicks=n_clicks)
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
    scores = list(evaluate(painting(Painter(1)), [crowd], max_objects=4, n_clicks=1))
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


def test_otsu_clicks_add_take_and_undo() -> None:
    """Three columns of regions, the object is the first two and half of the third.

    The first click takes one region of 4 x 4 px, the second the other. The third region would add
    8 px of 16 that belong to it: better, 40 / 48, than the 32 / 40 before. The click that takes it
    away again is undone.
    """
    regions = (np.repeat([[1] * 4 + [2] * 4 + [3] * 4], 4, axis=0).astype(np.int32),)
    truth = np.zeros((4, 12), bool)
    truth[:, :10] = True
    assert otsu_clicks(regions, truth, 5) == pytest.approx(
        (16 / 40, 32 / 40, 40 / 48, *[40 / 48] * 2)
    )


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.booleans()))
def test_packed_masks_come_back(mask: np.ndarray) -> None:
    assert np.array_equal(PackedMask.pack(mask).unpack(), mask)


def test_a_trial_keeps_what_is_needed_to_show_it() -> None:
    (trial,) = trials(painting(Painter(1)), [frame()], n_clicks=6)
    clicks, box = trial.score.iou_clicks, trial.prompts.box
    truth = frame().labels == 1

    def reached(packed: PackedMask) -> float:
        mask = packed.unpack()
        return (mask & truth).sum() / (mask | truth).sum()

    assert reached(trial.one_click) == pytest.approx(clicks[0])
    assert reached(trial.corrected) == pytest.approx(clicks[4])
    assert reached(trial.box) == 1
    assert box == (9.5, 9.5, 20.5, 20.5), "around whole pixels"
    assert trial.prompts.points[0] == (15, 15)
    assert len(trial.prompts.points) == 6
    assert trial.area == 11**2
    assert min(trial.encode_ms, trial.click_ms) > 0
