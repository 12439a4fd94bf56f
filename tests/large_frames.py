"""Frames far larger than the input of any network, with nuclei that are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BLOCK = 500  # pixels; what repeats over a frame


class Nuclei(NamedTuple):
    """A frame of nuclei, with what is where in each block of it."""

    image: NDArray[np.uint8]
    block: NDArray[np.int32]  # labels of one block
    centres: NDArray[np.int64]  # (n, 2) yx in a block

    def centre(self, nth: int, row: int, column: int) -> tuple[int, int]:
        """The centre of a nucleus at a row and column of blocks."""
        y, x = self.centres[nth] + (row * BLOCK, column * BLOCK)
        return int(y), int(x)

    def iou(
        self, labels: NDArray[np.integer], object_id: int, nth: int, row: int, column: int
    ) -> float:
        """IoU of an object in labels of the frame with a nucleus."""
        mine, nucleus = labels == object_id, self.block == nth + 1
        shared = mine[row * BLOCK :, column * BLOCK :][:BLOCK, :BLOCK] & nucleus
        return float(shared.sum() / (mine.sum() + nucleus.sum() - shared.sum()))


def nuclei(side: int, diameter: float = 30.0, seed: int = 0) -> Nuclei:
    """A square frame full of nuclei, one block again and again."""
    block, image, centres = _block(diameter, np.random.default_rng(seed))
    n = -(-side // BLOCK)
    return Nuclei(np.tile(image, (n, n))[:side, :side], block, centres)


def _block(
    diameter: float, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64]]:
    pitch = 2 * diameter
    n = int(BLOCK // pitch)
    ys, xs = np.mgrid[:BLOCK, :BLOCK]
    labels, light = np.zeros((BLOCK, BLOCK), np.int32), np.zeros((BLOCK, BLOCK))
    centres = []
    for row, column in np.ndindex(n, n):
        y, x = (np.array([row, column]) + 0.5) * BLOCK / n + rng.uniform(-0.2, 0.2, 2) * diameter
        long, short = diameter / 2 * rng.uniform(1.0, 1.2), diameter / 2 * rng.uniform(0.8, 1.0)
        turn = rng.uniform(0, np.pi)
        along = (ys - y) * np.sin(turn) + (xs - x) * np.cos(turn)
        across = (ys - y) * np.cos(turn) - (xs - x) * np.sin(turn)
        inside = (along / long) ** 2 + (across / short) ** 2 <= 1
        centres.append((round(y), round(x)))
        labels[inside] = len(centres)
        light[inside] = rng.uniform(0.5, 1.0)
    texture = ndimage.gaussian_filter(rng.normal(size=light.shape), 2, mode="wrap")
    blurred = ndimage.gaussian_filter(light, 1.5, mode="wrap") * (1 + texture)
    noisy = 20 + 160 * blurred + rng.normal(0, 5, light.shape)
    return labels, np.clip(noisy, 0, 255).astype(np.uint8), np.array(centres)
