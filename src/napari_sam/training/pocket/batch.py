"""The batch of one training step: crops, and objects in them to be prompted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model import PocketConfig
from napari_sam.training.clicks import bounding_box
from napari_sam.training.options import TrainingConfig

from .crops import SourcePool, random_crop

MIN_AREA = 10  # pixels at stride 2 below which an object is not requested


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops and the objects to be prompted in them."""

    images: Tensor  # (N, 3, S, S), 0 to 255
    labels: Tensor  # (N, S, S)
    complete: Tensor  # (N,), whether every object of the crop is labelled
    crop: Tensor  # (B,), the crop that each object is in
    windows: Tensor  # (B, 2) y, x of the first pixel of the window that shows each object
    masks: Tensor  # (B, W / 2, W / 2), share of each pixel of the window that is the object
    beyond: Tensor  # (B,), pixels of `masks` that the object has outside of the window


def draw_batch(
    config: TrainingConfig,
    network: PocketConfig,
    pool: SourcePool,
    rng: np.random.Generator,
) -> Batch:
    """Crops with at least one object each."""
    size = config.crop_size if rng.random() < config.whole_share else network.window
    images: list[Tensor] = []
    labels: list[Tensor] = []
    windows: list[tuple[int, int]] = []
    masks: list[Tensor] = []
    beyond: list[float] = []
    crop: list[int] = []
    complete: list[bool] = []
    while len(images) < config.crops:
        source = pool.draw(rng)
        image, found, magnified = random_crop(source, config.crop_size, rng)
        coarse = found[::2, ::2].numpy()
        ids, areas = np.unique(coarse, return_counts=True)
        ids = ids[(ids > 0) & (areas >= MIN_AREA)]
        if len(ids) == 0:
            continue
        for id_ in rng.choice(ids, config.objects, replace=len(ids) < config.objects):
            top, left = _window(coarse == id_, size, config.crop_size, network.stride, rng)
            seen = (found[top : top + size, left : left + size] == int(id_)).float()
            masks.append(F.avg_pool2d(seen[None], 2)[0])
            beyond.append(max(0.0, (magnified * source.areas[id_] - float(seen.sum())) / 4))
            windows.append((top, left))
            crop.append(len(images))
        images.append(image)
        labels.append(found)
        complete.append(source.complete)
    return Batch(
        torch.stack(images),
        torch.stack(labels),
        torch.tensor(complete),
        torch.tensor(crop),
        torch.tensor(windows),
        torch.stack(masks),
        torch.tensor(beyond),
    )


def _window(
    coarse: NDArray[np.bool_], size: int, crop_size: int, stride: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Where a window that shows an object of a crop begins: about its middle, never without it."""
    y0, x0, y1, x1 = bounding_box(coarse)
    pixels = np.argwhere(coarse)
    middle = 2 * (pixels[rng.integers(len(pixels))] if rng.random() < 0.3 else
                  np.array([y0 + y1 + 1, x0 + x1 + 1]) / 2)  # fmt: skip
    start = np.rint((middle - size / 2 + rng.normal(0, 12, 2)) / stride) * stride
    top, left = start.clip(0, crop_size - size).astype(int).tolist()
    return top, left
