"""The grid of clicks against segment-anything's automatic mask generator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from skimage.data import astronaut

import local_masks
from napari_sam.engine import (
    AutomaticOptions,
    FoundObject,
    FrameStack,
    GridRules,
    LoadedModel,
    Predictor,
    find_objects,
)
from napari_sam.engine.automatic.grid import _crops
from napari_sam.model import VIT_B
from oracles import SMALL, Pair, make_pair, reference_masks

# As the reference: objects may overlap, and every frame is looked at as a whole
ALL = AutomaticOptions(method="grid", overlap=1.0, cell_size=10_000)


@dataclass(frozen=True)
class Case:
    """A frame and parameters of the generator."""

    name: str
    shape: tuple[int, int]
    rules: GridRules


DEFAULTS = GridRules()
LOCAL = GridRules(points_per_side=8, pred_iou_thresh=0.6, stability_score_thresh=0.6)
LOCAL_CASES = (
    Case("defaults", (160, 160), DEFAULTS),
    Case("lower thresholds", (200, 160), LOCAL),
    Case("wide", (61, 250), LOCAL),
    Case("high", (250, 65), replace(LOCAL, box_nms_thresh=0.3)),
    Case("narrower cuts", (150, 150), replace(LOCAL, stability_score_offset=0.3)),
    Case("one layer of crops", (200, 160), replace(LOCAL, crop_n_layers=1)),
    Case(
        "two layers of crops, fewer points in them",
        (151, 167),
        replace(LOCAL, crop_n_layers=2, crop_n_points_downscale_factor=2, crop_nms_thresh=0.5),
    ),
    Case(
        "crops that overlap little",
        (200, 160),
        replace(LOCAL, crop_n_layers=1, crop_overlap_ratio=0.1),
    ),
    Case("small regions", (200, 160), replace(LOCAL, min_mask_region_area=120)),
    Case(
        "no thresholds", (150, 150), replace(LOCAL, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    ),
)


def picture(shape: tuple[int, int]) -> NDArray[np.uint8]:
    return astronaut()[: shape[0], : shape[1]]


def assert_same(found: list[FoundObject], expected: list[dict[str, Any]]) -> None:
    """As many masks, each with its own of IoU 0.99 or more and the same scores."""
    assert len(found) == len(expected)
    theirs = np.stack([record["segmentation"] for record in expected])
    ours = np.stack([whole(each, theirs.shape[1:]) for each in found])
    overlap = ious(ours, theirs)
    pairs = linear_sum_assignment(-overlap)
    assert overlap[pairs].min() >= 0.99
    for each, record in ((found[n], expected[m]) for n, m in zip(*pairs, strict=True)):
        assert each.score == pytest.approx(record["predicted_iou"], abs=1e-4)
        assert each.stability == pytest.approx(record["stability_score"], abs=1e-4)
        assert each.area == pytest.approx(record["area"], rel=0.01)


def ious(masks: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.float64]:
    """IoU of each of N masks (N, H, W) with each of M."""
    a, b = (each.reshape(len(each), -1).astype(np.float32) for each in (masks, others))
    common = a @ b.T
    return common / (a.sum(1)[:, None] + b.sum(1) - common)


def whole(found: FoundObject, shape: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    mask[found.where] = found.mask
    return mask


def standing(predictor: Predictor, image: NDArray[np.uint8], rules: GridRules) -> list[FoundObject]:
    stack = FrameStack.from_array(image)
    found = find_objects(predictor, stack, stack.index(), replace(ALL, grid=rules))
    return [each for each in found if each.dropped is None]


@pytest.mark.slow
@pytest.mark.parametrize("case", LOCAL_CASES, ids=lambda case: case.name)
def test_masks_around_clicks_are_those_of_the_reference(case: Case) -> None:
    image = picture(case.shape)
    found = standing(local_masks.predictor(), image, case.rules)
    expected = reference_masks(local_masks.reference(), image, case.rules)
    assert len(expected) > 3
    assert_same(found, expected)


def test_parts_of_a_small_frame_lie_inside_it() -> None:
    """Sixteen parts a side of 40 pixels, rounded up, would reach 49 pixels far."""
    options = AutomaticOptions(method="grid", grid=GridRules(points_per_side=1, crop_n_layers=4))
    crops = list(_crops((40, 500), options))
    assert all(min(crop.shape) > 0 for crop in crops)
    seen = np.zeros((40, 500), bool)
    for y0, x0, y1, x1 in (crop.window for crop in crops if crop.window is not None):
        seen[y0:y1, x0:x1] = True
    assert seen.all()


def with_spread_scores(pair: Pair) -> Pair:
    """Noise whose masks are stable and whose IoU predictions differ, so that thresholds choose."""
    with torch.no_grad():
        for mlp in pair.reference.mask_decoder.output_hypernetworks_mlps:
            mlp.layers[-1].weight *= 20
            mlp.layers[-1].bias *= 20
    pair.ours.load_state_dict(pair.reference.state_dict())
    return pair


NOISE = GridRules(points_per_side=6, pred_iou_thresh=0.45, stability_score_thresh=0.78)
NOISE_CASES = (
    Case("whole frame", (240, 320), replace(NOISE, box_nms_thresh=1.0)),
    Case(
        "crops",
        (320, 240),
        replace(NOISE, crop_n_layers=1, box_nms_thresh=1.0, crop_nms_thresh=0.99),
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("case", NOISE_CASES, ids=lambda case: case.name)
def test_a_small_network_finds_what_the_reference_finds(case: Case) -> None:
    pair = with_spread_scores(make_pair(SMALL))
    image = picture(case.shape)
    predictor = Predictor(LoadedModel(pair.ours, "small", "0", torch.device("cpu"), "fp32"))
    found = standing(predictor, image, case.rules)
    expected = reference_masks(pair.reference, image, case.rules)
    assert expected
    assert_same(found, expected)


@pytest.mark.slow
def test_with_the_input_of_vit_b_it_finds_what_the_reference_finds() -> None:
    """Its windows and input, and two narrow blocks of its twelve."""
    encoder = replace(VIT_B.encoder, width=128, depth=2, heads=2, global_blocks=(1,))
    pair = with_spread_scores(make_pair(replace(VIT_B, encoder=encoder)))
    image = picture((300, 400))
    predictor = Predictor(LoadedModel(pair.ours, "narrow", "0", torch.device("cpu"), "fp32"))
    rules = GridRules(4, 0, None, 0.2, 0.75, box_nms_thresh=1.0)
    found = standing(predictor, image, rules)
    expected = reference_masks(pair.reference, image, rules)
    assert expected
    assert_same(found, expected)
