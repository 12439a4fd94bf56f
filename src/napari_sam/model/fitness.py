"""Which of several masks is meant: what the network thinks of each, and the size that is expected.

A click in a nucleus may mean the nucleus or the cell around it. Who has accepted ten nuclei before
means a nucleus.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TOLERANCE = math.log(1.4)  # a diameter within this factor of the expected one is as good as it
WEIGHT = 0.35  # of what a mask's diameter is off beyond that, as a logarithm


def fitness(logits: Tensor, iou_predictions: Tensor, stride: int, diameter: float | None) -> Tensor:
    """IoU predictions, lowered for masks of another size than expected.

    Args:
        logits: low-res logits (..., h, w).
        iou_predictions: of the same masks, (...).
        stride: pixels of the input to one of the logits.
        diameter: of the circle as large as the expected object, in pixels of the input; None: any.

    Returns:
        (...), the higher the fitter.
    """
    if diameter is None:
        return iou_predictions
    areas = (logits > 0).sum((-2, -1)).clamp(min=1) * stride**2
    diameters = torch.sqrt(4 / math.pi * areas.float())
    off = (torch.log(diameters / diameter).abs() - TOLERANCE).clamp(min=0)
    return iou_predictions - WEIGHT * off
