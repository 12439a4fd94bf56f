"""Single clicks in windows of a level of the embedded network's pyramid, and what they are worth.

A mask is worth the geometric mean of four shares: the IoU prediction; the stability score, counted
twice; how much of it the map of objects takes for one; and how deep in an object its deepest pixel
is. Predictions alone take much of the background for objects: no click of the training lay there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_sam.engine.predictor import Embedding
from napari_sam.engine.prompts import Point
from napari_sam.model import Pocket, View

from .found import FoundObject

MAP_STRIDE = 4  # pixels of a level to one of its maps
STRIDE = 2  # to one of the logits
OFFSET = 1.0  # of the two cuts of the stability score, in logits


class Values(NamedTuple):
    """What speaks for the candidates (B, M) of B clicks."""

    scores: NDArray[np.float32]
    stabilities: NDArray[np.float32]


class Looking:
    """One encoded frame, clicked in windows."""

    def __init__(self, network: Pocket, device: torch.device, embedding: Embedding) -> None:
        self.network, self.device, self.embedding = network, device, embedding
        self.features = tuple(tensor.to(device) for tensor in embedding.tensors)
        with torch.inference_mode():
            self.maps = [maps.float() for maps in network.map_objects(self.features)]
        """Of each level, (1, 3, h, w): objects, their outlines, the depth in them."""
        self.scale = np.divide(embedding.input_shape, embedding.frame_shape)

    def click(
        self, points: Sequence[Point], level: int, least_score: float
    ) -> Iterator[list[FoundObject]]:
        """The candidates under points, yx in frame pixels, in windows of one level.

        Those that are worth less than the least score get no mask.
        """
        points_yx_input = (np.array(points) + 0.5) * self.scale - 0.5
        points_xy_input = np.ascontiguousarray(points_yx_input[:, ::-1], np.float32)
        with torch.inference_mode():
            views, logits, predicted = self.network.decode_clicks(
                self.features, torch.from_numpy(points_xy_input).to(self.device), level
            )
            logits = logits[:, 1:]  # the single mask is not for clicks alone
            values = self._values(views, logits, predicted[:, 1:])
        for point, view, masks, scores, stabilities in zip(
            points, views, logits.cpu().numpy(), *values, strict=True
        ):
            found = []
            for mask, score, stability in zip(masks, scores, stabilities, strict=True):
                each = FoundObject.unseen(
                    point, "seeds", score=float(score), stability=float(stability)
                )
                found.append(self._with_mask(each, view, mask) if score >= least_score else each)
            yield found

    def _values(self, views: Sequence[View], logits: Tensor, predicted: Tensor) -> Values:
        """What candidates (B, M, h, w) are worth."""
        inside = F.avg_pool2d((logits > 0).float(), MAP_STRIDE // STRIDE)
        h, w = inside.shape[-2:]
        windows = []
        for view in views:
            y, x = (at // MAP_STRIDE for at in view.start)
            windows.append(self.maps[view.level][0, :, y : y + h, x : x + w])
        objects, _, depths = torch.stack(windows, 1)[:, :, None]  # (B, 1, h, w) each
        areas = inside.sum((-2, -1)).clamp(min=1e-3)
        agreed = (inside * objects).sum((-2, -1)) / areas
        deepest = (inside * depths).amax((-2, -1))
        above = (logits > OFFSET).sum((-2, -1))
        stability = above / (logits > -OFFSET).sum((-2, -1)).clamp(min=1)
        score = (predicted * stability**2 * agreed * deepest) ** (1 / 5)
        return Values(score.cpu().numpy(), stability.cpu().numpy())

    def _with_mask(
        self, found: FoundObject, view: View, logits: NDArray[np.float32]
    ) -> FoundObject:
        """A candidate with its pixels of the frame, from logits (h, w) of its window."""
        shrink = self.network.config.levels[view.level]
        tops = []
        for axis in (0, 1):
            unit = STRIDE * shrink / self.scale[axis]  # frame pixels to one of the logits
            start = view.start[axis] * shrink / self.scale[axis]
            top, logits = _stretch(logits, start, unit, self.embedding.frame_shape[axis])
            tops.append(top)
            logits = logits.T  # first the rows, then the columns
        return found.with_mask(logits > 0, *tops)


def _stretch(
    logits: NDArray[np.float32], start: float, unit: float, n_frame: int
) -> tuple[int, NDArray[np.float32]]:
    """Logits (h, w) interpolated along their rows, where there are positive ones.

    Parameters
    ----------
    start
        The outer edge of the first row, in frame pixels from the frame's own edge.
    unit
        Frame pixels to a row.
    n_frame
        Pixels of the frame along this axis.

    Returns
    -------
    The first pixel of the frame, and the values from there on.
    """
    seen = np.flatnonzero((logits > 0).any(1))
    if not len(seen):
        return 0, logits[:0]
    top = max(0, int(np.ceil(start + (seen[0] - 0.5) * unit - 0.5)))
    end = min(n_frame, int(np.floor(start + (seen[-1] + 1.5) * unit - 0.5)) + 1)
    at = np.clip((np.arange(top, end) + 0.5 - start) / unit - 0.5, 0, len(logits) - 1)
    below = np.minimum(at.astype(int), len(logits) - 2)
    weight = (at - below).astype(np.float32)[:, None]
    return top, logits[below] * (1 - weight) + logits[below + 1] * weight
