"""The candidates that a network predicts for one object, and their masks in the frame's pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam.model import upscale_mask

from .errors import PromptError
from .masks import stability_score

LONGEST_SIDE = 2**17  # pixels that a mask is computed in; 128 of these see one of the input


@dataclass(frozen=True, eq=False)
class Prediction:
    """All candidates for one object. Full-size masks are made when they are requested."""

    low_res_logits: NDArray[np.float32]  # (M, m, m)
    iou_predictions: NDArray[np.float32]  # (M,)
    tokens: tuple[int, ...]  # the mask token of each candidate: 0 the single mask, 1-3 the three
    best: int  # index of the candidate to show
    upscale: Callable[[NDArray[np.float32]], NDArray[np.bool_]] = field(repr=False)

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """All candidates in the frame's own pixels, ``(M, H, W)``."""
        return self.upscale(self.low_res_logits)

    @cached_property
    def stability_scores(self) -> NDArray[np.float32]:
        """IoU of each mask cut a little higher with it cut a little lower, ``(M,)``."""
        return np.array([stability_score(logits) for logits in self.low_res_logits], np.float32)

    def mask(self, candidate: int | None = None) -> NDArray[np.bool_]:
        """One candidate's mask, ``(H, W)``; by default the best one's."""
        index = self.best if candidate is None else candidate
        n_candidates = len(self.low_res_logits)
        if not -n_candidates <= index < n_candidates:
            raise PromptError(
                f"There is no candidate {index}: this prediction has {n_candidates}, 0 to "
                f"{n_candidates - 1}."
            )
        mask: NDArray[np.bool_] = self.upscale(self.low_res_logits[index : index + 1])[0]
        return mask

    def with_token(self, token: int | None) -> Prediction:
        """The same candidates, that of a mask token chosen as best, where there is one."""
        best = self.tokens.index(token) if token in self.tokens else self.best
        return Prediction(
            self.low_res_logits, self.iou_predictions, self.tokens, best, self.upscale
        )


def upscale_logits(
    low_res_logits: NDArray[np.float32],
    stride: int,
    input_shape: tuple[int, int],
    frame_shape: tuple[int, int],
) -> NDArray[np.bool_]:
    """Masks (M, H, W) of logits (M, m, m), each computed in the box that holds it only."""
    masks = np.zeros((len(low_res_logits), *frame_shape), bool)
    height, width = (min(side, LONGEST_SIDE) for side in frame_shape)
    for mask, logits in zip(masks, low_res_logits, strict=True):
        rows, columns, pixels = upscale_mask(
            torch.as_tensor(logits), stride, input_shape, (height, width)
        )
        if (height, width) == frame_shape:
            mask[rows, columns] = pixels.numpy()
        else:
            whole = np.zeros((height, width), bool)
            whole[rows, columns] = pixels.numpy()
            mask[:] = whole[np.ix_(*map(_nearest, frame_shape, whole.shape))]
    return masks


def _nearest(size: int, coarse: int) -> NDArray[np.intp]:
    """For each of ``size`` pixels the one of ``coarse`` in which its centre lies."""
    return ((np.arange(size) + 0.5) * (coarse / size)).astype(np.intp)
