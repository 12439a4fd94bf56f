"""Losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from napari_sam.training.losses import decoder_loss, dice_loss, focal_loss, mask_iou, mask_loss

TARGET = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
SURE = 20.0


def test_dice_of_right_wrong_and_undecided() -> None:
    right, wrong, undecided = (
        dice_loss(SURE * (2 * p - 1), TARGET)
        for p in (TARGET, 1 - TARGET, torch.full_like(TARGET, 0.5))
    )
    assert right.item() == pytest.approx(0, abs=1e-6)
    assert wrong.item() == pytest.approx(1 - 1 / 5)  # the 1 added to both sides of the ratio
    assert undecided.item() == pytest.approx(1 - (2 * 1 + 1) / (2 + 2 + 1))


def test_focal_of_an_undecided_mask() -> None:
    """Four pixels of ln 2, each times a quarter, over the object's 2 px and 32."""
    assert focal_loss(torch.zeros(1, 4), TARGET).item() == pytest.approx(math.log(2) / 34)


def test_iou() -> None:
    logits = torch.tensor([[[1.0, -1.0, 1.0, -1.0]], [[-1.0, -1.0, -1.0, -1.0]]])
    assert mask_iou(logits, TARGET.expand(2, 1, 4)).tolist() == pytest.approx([1 / 3, 0])


def test_what_lies_beyond_is_missed() -> None:
    """All of the two pixels seen are found, but the object has two more outside."""
    found = mask_iou(2 * TARGET[None] - 1, TARGET[None], torch.tensor([2.0]))
    assert found.tolist() == [0.5]


def test_small_objects_weigh_as_much_as_large_ones() -> None:
    """Missing all of an object costs about the same at 10 and at 80 pixels of width."""
    costs = []
    for width in (10, 80):
        target = torch.zeros(128, 128)
        target[20 : 20 + width, 20 : 20 + width] = 1
        costs.append(mask_loss(torch.full((128, 128), -4.0), target).item())
    assert costs[0] == pytest.approx(costs[1], rel=0.35)


def test_only_the_best_candidate_learns_much() -> None:
    """Among the three candidates the gradient of the nearest outweighs the others'."""
    target = torch.zeros(1, 8, 8)
    target[:, 2:6, 2:6] = 1
    near = (target - 0.5)[:, None]
    logits = torch.cat([torch.zeros(1, 1, 8, 8), 0 * near, near, -near], 1).requires_grad_()
    decoder_loss(logits, torch.full((1, 4), 0.5), target).backward()
    assert logits.grad is not None
    single, *candidates = logits.grad.abs().sum((0, 2, 3)).tolist()
    assert candidates[1] > 5 * max(candidates[0], candidates[2])
    assert single > 0


def test_quality_learns_the_true_iou() -> None:
    """With perfect masks only the IoU predictions' error remains: 3 times its mean square."""
    target = torch.zeros(1, 8, 8)
    target[:, 2:6, 2:6] = 1
    logits = (2 * SURE * (target - 0.5))[:, None].expand(1, 4, 8, 8)
    loss = decoder_loss(logits, torch.full((1, 4), 0.7), target)
    assert loss.item() == pytest.approx(3 * 0.3**2, abs=1e-4)
