"""Low-res logits to a mask in the frame's own pixels, where there is anything to see."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 64  # rows of the frame in one product: they see few of the logits, the same ones


def upscale_mask(
    logits: Tensor, stride: int, input_shape: tuple[int, int], frame_shape: tuple[int, int]
) -> tuple[slice, slice, Tensor]:
    """Where low-res logits, upscaled to the frame, are positive.

    They are interpolated bilinearly to the padded input, cropped to what of it the frame fills, and
    interpolated bilinearly to the frame, as Segment Anything does. That is linear along each axis,
    so that both stages together are one small matrix an axis; and its weights are never negative,
    so that a pixel that sees no positive logit is outside the mask.

    Args:
        logits: of one mask, (m, m').
        stride: pixels of the input to one of the logits.
        input_shape: (h, w) of the input that the frame fills.
        frame_shape: (H, W).

    Returns:
        rows and columns of the box around all pixels that see a positive logit, and the mask in it
        (height, width) bool.
    """
    positive = logits > 0
    rows, low_rows, weights = _axis(positive.any(1), stride, input_shape[0], frame_shape[0])
    columns, low_columns, kernel = _axis(positive.any(0), stride, input_shape[1], frame_shape[1])
    wide = logits[low_rows, low_columns] @ kernel.T  # (m, width)
    mask = torch.empty(len(weights), len(kernel), dtype=torch.bool, device=logits.device)
    for start in range(0, len(mask), BLOCK):
        block = weights[start : start + BLOCK]
        seen = block.any(0).nonzero()
        span = slice(int(seen[0]), int(seen[-1]) + 1)
        mask[start : start + BLOCK] = block[:, span] @ wide[span] > 0
    return rows, columns, mask


class Upscaling:
    """What `upscale_mask` does, for many masks of one frame: the weights are made once.

    Args:
        low_shape: (m, m') of the low-res logits.
        stride, input_shape, frame_shape: as in `upscale_mask`.
    """

    def __init__(
        self,
        low_shape: tuple[int, int],
        stride: int,
        input_shape: tuple[int, int],
        frame_shape: tuple[int, int],
    ) -> None:
        self.rows, self.columns = (
            _weights(torch.eye(low), stride, n_input, n_frame)
            for low, n_input, n_frame in zip(low_shape, input_shape, frame_shape, strict=True)
        )

    def cut(self, logits: Tensor, offset: float) -> tuple[slice, slice, Tensor, float]:
        """The mask of low-res logits (m, m'), and how stable it is.

        Args:
            logits: of one mask, on the CPU.
            offset: the mask is cut at 0, and so much above and below for its stability score.

        Returns:
            rows and columns of the box around all pixels that see a logit above `-offset`, the mask
            in it (height, width) bool, and its stability score in the frame's pixels, 0 if there is
            none.
        """
        seen = logits > -offset
        rows, low_rows = _seeing(self.rows, seen.any(1))
        columns, low_columns = _seeing(self.columns, seen.any(0))
        wide = logits[low_rows, low_columns] @ self.columns[columns, low_columns].T  # (m, width)
        weights = self.rows[rows, low_rows]
        mask = torch.empty(len(weights), wide.shape[1], dtype=torch.bool)
        n_above = n_below = 0
        for start in range(0, len(mask), BLOCK):
            block = weights[start : start + BLOCK]
            here = block.any(0).nonzero()
            span = slice(int(here[0]), int(here[-1]) + 1)
            upscaled = block[:, span] @ wide[span]
            torch.gt(upscaled, 0, out=mask[start : start + BLOCK])
            n_above += int(torch.count_nonzero(upscaled > offset))
            n_below += int(torch.count_nonzero(upscaled > -offset))
        return rows, columns, mask, n_above / max(n_below, 1)


def _seeing(weights: Tensor, positive: Tensor) -> tuple[slice, slice]:
    """The pixels of an axis that see low-res pixels (m,) which count, and those that they see."""
    found = positive.nonzero()
    if not len(found):
        return slice(0), slice(0)
    low = slice(max(0, int(found[0]) - 2), int(found[-1]) + 3)  # a pixel sees three at most
    seeing = (weights[:, low] @ positive[low].float()).nonzero()
    box = slice(int(seeing[0]), int(seeing[-1]) + 1) if len(seeing) else slice(0)
    return box, low


def _axis(positive: Tensor, stride: int, n_input: int, n_frame: int) -> tuple[slice, slice, Tensor]:
    """One axis of the box, from the low-res pixels (m,) that are positive anywhere across it.

    Returns:
        the axis's pixels in the box, the low-res pixels that they see, and with which weights.
    """
    found = positive.nonzero()
    if not len(found):
        return slice(0), slice(0), torch.zeros(0, 0)
    low = slice(max(0, int(found[0]) - 2), int(found[-1]) + 3)  # a pixel sees three at most
    alone = torch.eye(len(positive), device=positive.device)[low]
    weights = _weights(alone, stride, n_input, n_frame)
    seeing = (weights @ positive[low].float()).nonzero()
    box = slice(int(seeing[0]), int(seeing[-1]) + 1) if len(seeing) else slice(0)
    return box, low, weights[box]


def _weights(low: Tensor, stride: int, n_input: int, n_frame: int) -> Tensor:
    """How much of each low-res pixel the pixels of an axis see, (n_frame, n).

    Args:
        low: rows of the identity, (n, m): which low-res pixels.
        stride, n_input, n_frame: of the axis, as in `upscale_mask`.
    """
    padded = F.interpolate(low.unsqueeze(0), scale_factor=stride, mode="linear")  # (1, n, input)
    return F.interpolate(padded[..., :n_input], n_frame, mode="linear")[0].T
