"""Simulated prompts of the training: what a user gives first, and how a user corrects."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model import PromptTensors

from .clicks import Mask, bounding_box, corrective_click, interior_point, random_point

NO_BOX = (0.0, 0.0, 0.0, 0.0)
NO_MASK = -16.0  # a mask prompt that is everywhere outside counts as none
KINDS = {"click": 0.55, "box": 0.3, "both": 0.08, "mask": 0.07}  # chances of the first prompt


def first_prompts(
    truths: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    stride: int = 2,
    kind: str | None = None,
) -> PromptTensors:
    """A click, a loose box, both, or a rough mask for each object (B, h, w).

    All four tensors are there; what an object lacks is a label of -1, a box of no extent, an empty
    mask.

    Parameters
    ----------
    truths
        The objects' masks.
    stride
        Input pixels to a pixel of the masks.
    kind
        One of ``KINDS`` for all objects; by default each has one of its own.
    """
    points, labels, boxes = [], [], []
    masks = torch.full((len(truths), 1, *truths.shape[1:]), NO_MASK)
    for i, truth in enumerate(truths):
        own = (kind or random_kind(rng)) if truth.any() else "none"
        clicked = own in ("click", "both")
        points.append([_near(_first_click(truth, rng) if clicked else (0, 0), stride, rng)])
        labels.append([1 if clicked else -1])
        boxes.append(_loose_box(truth, stride, rng) if own in ("box", "both") else NO_BOX)
        if own == "mask":
            masks[i, 0] = _rough_mask(truth, rng)
    return PromptTensors(
        torch.tensor(points, dtype=torch.float32), torch.tensor(labels), torch.tensor(boxes), masks
    )


def random_kind(rng: np.random.Generator) -> str:
    """One of ``KINDS``, with its chance."""
    return str(rng.choice(list(KINDS), p=list(KINDS.values())))


def placed(prompts: PromptTensors, device: torch.device) -> PromptTensors:
    """Prompts whose four tensors are all there, on a device."""
    points, labels, boxes, masks = (
        _all(tensor).to(device)
        for tensor in (prompts.points, prompts.labels, prompts.boxes, prompts.masks)
    )
    return PromptTensors(points, labels, boxes, masks)


def only_given(prompts: PromptTensors) -> PromptTensors:
    """Prompts of one kind without what none of the objects has, as a predictor would make them.

    Segment Anything would see the padding of clicks, boxes and masks that are not there.
    """
    points, labels, boxes = _all(prompts.points), _all(prompts.labels), _all(prompts.boxes)
    clicked = (labels >= 0).any(0)  # (N,)
    boxed = bool((boxes[:, 2] > boxes[:, 0]).all())
    masks = _all(prompts.masks)
    return PromptTensors(
        points[:, clicked] if clicked.any() else None,
        labels[:, clicked] if clicked.any() else None,
        boxes if boxed else None,
        masks if bool((masks > NO_MASK).any()) else None,
    )


def corrected(
    answer: Callable[[PromptTensors], tuple[Tensor, Tensor]],
    prompts: PromptTensors,
    truths: NDArray[np.bool_],
    n_rounds: int,
    rng: np.random.Generator,
    *,
    stride: int = 2,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Rounds of answers, logits and IoU predictions, each corrected by a click in the next one.

    Parameters
    ----------
    answer
        What the network says to prompts of all objects.
    prompts
        The first ones.
    truths, stride
        The objects' masks (B, h, w), and input pixels to a pixel of them.
    """
    for round_ in range(n_rounds):
        logits, ious = answer(prompts)
        yield logits, ious
        if round_ + 1 < n_rounds:
            said = logits.detach().cpu(), ious.detach().cpu()
            prompts = next_prompts(prompts, *said, truths, rng, stride=stride)


def next_prompts(
    prompts: PromptTensors,
    logits: Tensor,
    iou_predictions: Tensor,
    truths: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    stride: int = 2,
) -> PromptTensors:
    """One more click for each object where its mask is most wrong, seeded with that mask.

    The mask is the one that a user would be shown: after a single click the best candidate,
    otherwise the single mask.
    """
    points, labels, boxes = _all(prompts.points), _all(prompts.labels), _all(prompts.boxes)
    single_click = (labels[:, 0] == 1) & (boxes[:, 2] <= boxes[:, 0]) & (labels.shape[1] == 1)
    token = torch.where(single_click, 1 + iou_predictions[:, 1:].argmax(1), 0)
    seeds = logits[torch.arange(len(logits)), token]  # (B, h, w)
    clicks, signs = [], []
    for predicted, truth in zip(seeds.numpy() > 0, truths, strict=True):
        point, sign = _next_click(predicted, truth, rng)
        clicks.append([_near(point, stride, rng)])
        signs.append([sign])
    return PromptTensors(
        torch.cat([points, torch.tensor(clicks, dtype=torch.float32)], 1),
        torch.cat([labels, torch.tensor(signs)], 1),
        boxes,
        seeds[:, None],
    )


def _all(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise ValueError("Training goes on from the prompts that first_prompts made.")
    return tensor


def _near(point: tuple[int, int], stride: int, rng: np.random.Generator) -> tuple[float, float]:
    """A pixel (y, x) of a mask as x, y in input pixels, hit as inexactly as people click."""
    y, x = point
    return stride * x + rng.uniform(-1, stride), stride * y + rng.uniform(-1, stride)


def _first_click(truth: Mask, rng: np.random.Generator) -> tuple[int, int]:
    """As often the most interior point as any other, deep ones preferred."""
    if rng.random() < 0.5:
        return interior_point(truth)
    return random_point(truth, rng, sharpness=rng.uniform(0, 3))


def _next_click(
    predicted: Mask, truth: Mask, rng: np.random.Generator
) -> tuple[tuple[int, int], int]:
    """The corrective click, at times elsewhere in the error; none (-1) for an object not there."""
    if not truth.any():
        return (0, 0), -1
    point, sign = corrective_click(predicted, truth)
    error = truth & ~predicted if sign else predicted & ~truth
    if error.any() and rng.random() < 0.3:
        return random_point(error, rng), sign
    return point, sign


def _loose_box(
    truth: Mask, stride: int, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """The bounding box x0, y0, x1, y1 in input pixels, as exactly or loosely as people draw it."""
    y0, x0, y1, x1 = bounding_box(truth)
    tight = stride * np.array([x0, y0, x1 + 1, y1 + 1]) - np.array([0, 0, 1, 1])
    extent = np.tile(tight[2:] - tight[:2], 2)
    loose = tight + rng.choice([0.0, 0.03, 0.1]) * extent * rng.normal(0, 1, 4)
    height, width = truth.shape
    left, top, right, bottom = loose.clip(0, stride * np.array([width, height] * 2) - 1).tolist()
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _rough_mask(truth: Mask, rng: np.random.Generator) -> Tensor:
    """Logits (h, w) of the object as a hasty lasso gives it: smoothed, grown or shrunk, moved."""
    coarse = torch.from_numpy(truth).float()[None, None]
    reach = int(rng.integers(0, 4))
    soft = F.avg_pool2d(coarse, 2 * reach + 1, 1, reach)[0, 0]
    dy, dx = rng.integers(-2, 3, 2).tolist()
    moved = torch.roll(soft > rng.uniform(0.2, 0.8), (dy, dx), (0, 1))
    return moved.float() * 14 - 7
