"""Discs that move over a dark frame, and a network that sees what is bright."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.engine import FrameStack, LoadedModel, Predictor
from napari_sam.model import PocketConfig, PromptTensors

SIZE = 64
REACH = 3  # pixels around a mask in which the network looks for bright ones

Disc = tuple[float, float, float]  # y, x, radius
Path = Sequence[Disc | None]  # one a frame; None: not there


class Threshold(nn.Module):
    """A network whose mask is what is bright in and around a mask, in a box, or under clicks."""

    merges_clicks = False

    def __init__(self, size: int = SIZE) -> None:
        super().__init__()
        self.size = size
        self.config = PocketConfig("threshold", input_size=size, mask_size=size)
        self.n_encoded = 0
        self.n_together: list[int] = []

    def preprocess(self, image: Tensor) -> Tensor:
        h, w = image.shape[-2:]
        return F.pad(image.float(), (0, self.size - w, 0, self.size - h))

    def encode(
        self, input: Tensor, progress: Callable[[int, int], None] | None = None
    ) -> tuple[Tensor, ...]:
        for block in range(2):
            if progress is not None:
                progress(block + 1, 2)
        self.n_encoded += 1
        return torch.zeros(1, 1, self.size // 16, self.size // 16), input

    def decode(self, features: tuple[Tensor, ...], prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        self.n_together.append(prompts.n_objects)
        bright = features[1].mean(dim=1, keepdim=True) > 100  # (1, 1, S, S)
        logits = torch.where(bright & _shown(bright[0, 0], prompts), 4.0, -4.0)
        sure = torch.where((logits > 0).any(dim=(2, 3)), 0.9, 0.1)
        return logits.expand(-1, 4, -1, -1), sure.expand(-1, 4)


def _shown(bright: Tensor, prompts: PromptTensors) -> Tensor:
    """Where each prompt says to look, (B, 1, S, S)."""
    if prompts.masks is not None:
        return F.max_pool2d((prompts.masks > 0).float(), 2 * REACH + 1, 1, REACH) > 0
    size = len(bright)
    rows, columns = torch.arange(size)[:, None], torch.arange(size)[None]
    shown = torch.zeros(prompts.n_objects, 1, size, size, dtype=torch.bool)
    pieces = torch.as_tensor(ndimage.label(bright.numpy())[0])
    assert prompts.points is not None
    for nth, place in enumerate(shown[:, 0]):
        if prompts.boxes is not None:
            x0, y0, x1, y1 = prompts.boxes[nth]
            place |= (rows >= y0) & (rows <= y1) & (columns >= x0) & (columns <= x1)
        else:
            for x, y in prompts.points[nth].round().long().tolist():
                place |= pieces == pieces[y, x]
    return shown


def predictor(size: int = SIZE) -> Predictor:
    """A predictor with a network of its own, of so many input pixels."""
    return Predictor(LoadedModel(Threshold(size), "threshold", "0", torch.device("cpu"), "fp32"))


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


def film(courses: dict[int, Path]) -> np.ndarray:
    """Labels (T, S, S) of discs; the last is on top."""
    labels = np.zeros((len(next(iter(courses.values()))), SIZE, SIZE), np.uint16)
    for object_id, course in courses.items():
        for t, where in enumerate(course):
            if where is not None:
                labels[t][disc(*where)] = object_id
    return labels


def renumbered(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """The same regions with new numbers in every frame."""
    random = np.random.default_rng(seed)
    new = np.zeros_like(labels)
    for t, frame in enumerate(labels):
        ids = np.unique(frame[frame > 0])
        for value, object_id in enumerate(random.permutation(ids), start=1):
            new[t][frame == object_id] = value
    return new


def same_tracks(labels: np.ndarray, other: np.ndarray) -> bool:
    """Whether two stacks hold the same tracks, whatever their ids."""
    pairs = np.unique(np.stack([labels.ravel(), other.ravel()]), axis=1)
    return len(pairs[0]) == len(np.unique(labels)) == len(np.unique(other))


NOTHING: list[None] = [None] * 4
DIVIDING = {
    1: [*moving(30, 30, 0, 0, 4, 8), *NOTHING],
    2: [*NOTHING, *moving(30, 24, 0, -2, 4, 5)],
    3: [*NOTHING, *moving(30, 36, 0, 2, 4, 5)],
}
