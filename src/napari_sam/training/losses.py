"""Losses on masks and on their predicted quality."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the dice overlap: logits and target in [0, 1], (..., H, W) → (...)."""
    probability = logits.sigmoid()
    overlap = (probability * target).sum((-2, -1))
    total = probability.sum((-2, -1)) + target.sum((-2, -1))
    return 1 - (2 * overlap + 1) / (total + 1)


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Focal cross-entropy (Lin et al. 2017) of each mask, (..., H, W) → (...).

    Divided by the object's area instead of the image's: small cells weigh as much as large ones.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    surprise = (logits.sigmoid() - target).abs()
    return (surprise**gamma * entropy).sum((-2, -1)) / (target.sum((-2, -1)) + 32)


def mask_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Dice and focal loss of each mask: (..., H, W) → (...)."""
    return dice_loss(logits, target) + focal_loss(logits, target)


@torch.no_grad()
def mask_iou(logits: Tensor, target: Tensor, beyond: Tensor | None = None) -> Tensor:
    """IoU of each mask (logits > 0) with its target (> 0.5): (..., H, W) → (...).

    ``beyond`` is the area of each object outside of what is seen, in the same pixels: all of it is
    missed.
    """
    predicted, true = logits > 0, target > 0.5
    overlap = (predicted & true).sum((-2, -1)).float()
    union = (predicted | true).sum((-2, -1)) + (0 if beyond is None else beyond)
    return overlap / union.clamp(min=1)


def decoder_loss(
    logits: Tensor, iou_predictions: Tensor, target: Tensor, beyond: Tensor | None = None
) -> Tensor:
    """Loss of one answer, (B, 4, h, w) and (B, 4), to targets (B, h, w) → scalar.

    The single mask always learns; of the three candidates the best does, and the others a little,
    so that none dies (Kirillov et al. 2023, section 3). The IoU predictions of all four learn from
    their true IoU; ``beyond`` (B,) is the area of each object that is outside of the targets.
    """
    targets = target[:, None].expand_as(logits)
    losses = mask_loss(logits, targets)  # (B, 4)
    candidates = losses[:, 1:]
    true_iou = mask_iou(logits, targets, None if beyond is None else beyond[:, None])
    quality = (iou_predictions - true_iou).square().mean(1)
    each = losses[:, 0] + candidates.amin(1) + 0.05 * candidates.mean(1) + 3 * quality
    return each.mean()
