"""Discs that move over a dark frame, and a network that sees what is bright."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.engine import FrameStack, LoadedModel, Predictor
from napari_sam.model import PocketConfig, PromptTensors

SIZE = 64
REACH = 3  # pixels around a mask in which the network looks for bright ones

Disc = tuple[float, float, float]  # y, x, radius
Path = Sequence[Disc | None]  # one a frame; None: not there


class Threshold(nn.Module):
    """A network whose mask is all that is bright in and around the mask it is prompted with."""

    config = PocketConfig("threshold", input_size=SIZE, mask_size=SIZE)

    def __init__(self) -> None:
        super().__init__()
        self.n_encoded = 0
        self.n_together: list[int] = []

    def preprocess(self, image: Tensor) -> Tensor:
        return image.float()

    def encode(
        self, input: Tensor, progress: Callable[[int, int], None] | None = None
    ) -> tuple[Tensor, ...]:
        for block in range(2):
            if progress is not None:
                progress(block + 1, 2)
        self.n_encoded += 1
        return torch.zeros(1, 1, SIZE // 16, SIZE // 16), input

    def decode(self, features: tuple[Tensor, ...], prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        assert prompts.masks is not None
        self.n_together.append(len(prompts.masks))
        bright = features[1].mean(dim=1, keepdim=True) > 100  # (1, 1, S, S)
        near = F.max_pool2d((prompts.masks > 0).float(), 2 * REACH + 1, 1, REACH) > 0
        logits = torch.where(bright & near, 4.0, -4.0)
        return logits.expand(-1, 4, -1, -1), torch.full((len(logits), 4), 0.9)


def predictor() -> Predictor:
    """A predictor with a network of its own."""
    return Predictor(LoadedModel(Threshold(), "threshold", "0", torch.device("cpu"), "fp32"))


def disc(y: float, x: float, radius: float) -> np.ndarray:
    """The pixels of a disc, (S, S) bool."""
    rows, columns = np.ogrid[:SIZE, :SIZE]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def movie(paths: Mapping[int, Path]) -> tuple[FrameStack, np.ndarray]:
    """Frames of discs (T, S, S), and their labels; where discs overlap, the first is on top."""
    n_frames = len(next(iter(paths.values())))
    labels = np.zeros((n_frames, SIZE, SIZE), np.uint16)
    for object_id, path in reversed(paths.items()):
        for t, where in enumerate(path):
            if where is not None:
                labels[t][disc(*where)] = object_id
    pixels = np.where(labels > 0, 200, 20).astype(np.uint8)
    return FrameStack.from_array(pixels, axes="TYX", limits=(0, 255)), labels


def moving(y: float, x: float, dy: float, dx: float, n: int, radius: float = 6) -> list[Disc]:
    """A disc on its way, in so many frames."""
    return [(y + t * dy, x + t * dx, radius) for t in range(n)]
