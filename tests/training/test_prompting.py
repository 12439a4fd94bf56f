"""Simulated prompts: they point at the object, and correct what a user would be shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam.model import PromptTensors
from napari_sam.training.prompting import KINDS, first_prompts, next_prompts, only_given


def square() -> np.ndarray:
    truth = np.zeros((1, 32, 32), bool)
    truth[0, 8:20, 10:22] = True
    return truth


@pytest.mark.parametrize("seed", range(20))
def test_first_prompts_point_at_the_object(seed: int) -> None:
    """A click in input pixels falls on the object, a box overlaps it, a mask covers some of it."""
    prompts = first_prompts(square(), np.random.default_rng(seed))
    assert prompts.points is not None
    assert prompts.labels is not None
    assert prompts.boxes is not None
    assert prompts.masks is not None
    kinds = [
        prompts.labels[0, 0] == 1,
        prompts.boxes[0, 2] > prompts.boxes[0, 0],
        (prompts.masks > 0).any(),
    ]
    assert any(kinds)
    if kinds[0]:
        x, y = (prompts.points[0, 0] // 2).int().tolist()
        assert square()[0, y, x]
    if kinds[1]:
        x0, y0, x1, y1 = (prompts.boxes[0] / 2).tolist()
        assert x0 < 16 < x1
        assert y0 < 14 < y1
    if kinds[2]:
        assert (prompts.masks[0, 0].numpy() > 0)[square()[0]].mean() > 0.5


def test_next_prompts_correct_the_chosen_mask() -> None:
    """After one click the candidate ranked best is corrected, later the single mask."""
    truth = square()
    logits = torch.full((1, 4, 32, 32), -5.0)
    logits[0, 0, 8:20, 10:22] = 5  # the single mask is right
    logits[0, 2, 8:20, 10:30] = 5  # candidate 2, ranked best, takes too much
    ious = torch.tensor([[0.9, 0.1, 0.8, 0.2]])
    points, labels = torch.tensor([[[30.0, 26.0]]]), torch.tensor([[1]])
    masks = torch.full((1, 1, 32, 32), -16.0)
    prompts = PromptTensors(points, labels, torch.zeros(1, 4), masks)

    after_one = next_prompts(prompts, logits, ious, truth, np.random.default_rng(1))
    assert after_one.labels is not None
    assert after_one.points is not None
    assert after_one.masks is not None
    assert after_one.labels.tolist() == [[1, 0]]
    x, y = (after_one.points[0, 1] // 2).int().tolist()
    assert 22 <= x < 30
    assert 8 <= y < 20
    torch.testing.assert_close(after_one.masks[0, 0], logits[0, 2])

    after_two = next_prompts(after_one, logits, ious, truth, np.random.default_rng(1))
    assert after_two.labels is not None
    assert after_two.masks is not None
    assert after_two.labels.tolist() == [[1, 0, 1]]
    torch.testing.assert_close(after_two.masks[0, 0], logits[0, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_of_one_kind_hold_nothing_else(kind: str) -> None:
    """As a predictor would make them, at any stride: first prompts, and with a correction."""
    rng = np.random.default_rng(0)
    truths = np.repeat(square(), 3, axis=0)
    prompts = first_prompts(truths, rng, stride=4, kind=kind)
    given = only_given(prompts)
    assert (given.points is not None) == (kind in ("click", "both"))
    assert (given.boxes is not None) == (kind in ("box", "both"))
    assert (given.masks is not None) == (kind == "mask")
    if given.points is not None:
        x, y = (given.points[0, 0] / 4).tolist()  # hit as inexactly as people click
        assert 9.5 <= x <= 22
        assert 7.5 <= y <= 20
    if given.boxes is not None:
        middle = given.boxes.view(-1, 2, 2).mean(1)
        torch.testing.assert_close(middle, torch.tensor([[63.5, 55.5]] * 3), atol=12, rtol=0)

    empty = torch.full((3, 4, 32, 32), -5.0)
    corrected = only_given(next_prompts(prompts, empty, torch.zeros(3, 4), truths, rng, stride=4))
    assert corrected.labels is not None
    assert corrected.labels.tolist() == [[1] * (1 + (kind in ("click", "both")))] * 3
    assert corrected.masks is not None
