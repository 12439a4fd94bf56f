"""A network whose answers are known, so that scores can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from napari_sam.engine import LoadedModel, Predictor
from napari_sam.model import PocketConfig, PromptTensors

SIZE = 32


class Painter(nn.Module):
    """A network that fills squares: radius 3 for its candidates but the second, which has 5.

    Every further positive click adds a square around it, every negative one takes it away; a box
    is filled. It ranks the candidate named at its making best.
    """

    merges_clicks = False
    config = PocketConfig("painter", input_size=SIZE, mask_size=SIZE)

    def __init__(self, ranked_best: int) -> None:
        super().__init__()
        self.ranked_best = ranked_best
        self.seeded: list[bool] = []

    def preprocess(self, image: Tensor) -> Tensor:
        return image.float()

    def encode(
        self, input: Tensor, progress: Callable[[int, int], None] | None = None
    ) -> tuple[Tensor, ...]:
        return (input,)

    def decode(self, features: tuple[Tensor, ...], prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        self.seeded.append(prompts.masks is not None)
        ys, xs = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
        logits = torch.full((1, 4, SIZE, SIZE), -1.0)
        if prompts.boxes is not None:
            x0, y0, x1, y1 = prompts.boxes[0]
            logits[:, :, (ys >= y0) & (ys <= y1) & (xs >= x0) & (xs <= x1)] = 1.0
        if prompts.points is not None and prompts.labels is not None:
            for (x, y), label in zip(prompts.points[0], prompts.labels[0], strict=True):
                distance = torch.maximum((ys - y).abs(), (xs - x).abs())
                for token, radius in enumerate((3, 3, 5, 3)):
                    logits[:, token, distance <= radius] = 1.0 if label else -1.0
        quality = torch.full((1, 4), 0.5)
        quality[0, self.ranked_best] = 0.9
        return logits, quality

    def upscale(
        self, low_res_logits: Tensor, input_shape: tuple[int, int], frame_shape: tuple[int, int]
    ) -> Tensor:
        return low_res_logits


def painting(painter: Painter) -> Predictor:
    """A predictor that paints."""
    return Predictor(LoadedModel(painter, "painter", "0", torch.device("cpu"), "fp32"))
