"""Training crops: a random window of a frame at a random size, in random light, as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from .data import AnnotatedFrame

DIAMETERS = (10.0, 150.0)  # crop pixels: the sizes at which the levels of the network show cells
MAX_ZOOM = 6.0  # crop pixels per frame pixel; beyond it there is nothing more to see
MIN_FILLED = 0.45  # share of the crop's side that the frame's longer one fills at least


@dataclass(frozen=True, eq=False)
class Source:
    """A frame ready for cropping, and its typical object's diameter in its own pixels."""

    image: Tensor  # (3, H, W) uint8
    labels: Tensor  # (H, W) int32
    areas: NDArray[np.int64]  # pixels of each label
    centres: NDArray[np.float64]  # (n, 2) x, y of its objects
    diameter: float

    @classmethod
    def from_frame(cls, frame: AnnotatedFrame) -> Source:
        """Measures the objects of a frame that has at least one."""
        ys, xs = np.nonzero(frame.labels)
        ids = frame.labels[ys, xs]
        areas = np.bincount(ids)
        present = areas > 0
        centres = [np.bincount(ids, at)[present] / areas[present] for at in (xs, ys)]
        return cls(
            torch.from_numpy(np.ascontiguousarray(frame.image.transpose(2, 0, 1))),
            torch.from_numpy(np.ascontiguousarray(frame.labels)),
            areas,
            np.stack(centres, 1),
            float(np.sqrt(4 * np.median(areas[present]) / np.pi)),
        )


def random_crop(
    source: Source, size: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, float]:
    """A window of a frame, scaled, turned, flipped and lit at random.

    Returns:
        image (3, size, size), float, 0 to 255; labels (size, size), int32; and how many pixels of
        the crop one pixel of the frame became.
    """
    matrix, zoom = _random_view(source, size, rng)
    magnified = zoom**2
    image = source.image.float()
    while zoom < 0.7 and min(image.shape[1:]) > 32:
        image = F.avg_pool2d(image, 2)  # average before shrinking, as the product's resize does
        zoom *= 2
    grid = F.affine_grid(matrix[None], [1, 3, size, size], align_corners=False)
    labels = source.labels[None, None].float()
    sampled = F.grid_sample(image[None], grid, align_corners=False)[0]
    found = F.grid_sample(labels, grid, mode="nearest", align_corners=False)[0, 0]
    return random_light(sampled, rng), found.int(), magnified


def _random_view(source: Source, size: int, rng: np.random.Generator) -> tuple[Tensor, float]:
    """Crop to frame, both from -1 to 1, as a matrix (2, 3); and crop pixels per frame pixel."""
    extent = np.array(source.labels.shape[::-1])  # x, y
    diameter = np.exp(rng.triangular(np.log(DIAMETERS[0]), np.log(45), np.log(DIAMETERS[1])))
    zoom = float(np.clip(diameter / source.diameter, MIN_FILLED * size / extent.max(), MAX_ZOOM))

    # Turned by any angle or by right angles, mirrored, slightly stretched
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.5 else rng.integers(4) * np.pi / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn *= np.exp(rng.uniform(-0.12, 0.12, 2)) * (rng.choice([-1, 1]), 1) / zoom

    # Around an object or anywhere, with little of the crop outside of the frame
    if rng.random() < 0.85:
        centre = source.centres[rng.integers(len(source.centres))]
        centre = centre + turn @ rng.uniform(-0.4 * size, 0.4 * size, 2)
    else:
        centre = rng.uniform(0, 1, 2) * extent
    margin = np.minimum(size / 2 / zoom, extent / 2)
    centre = centre.clip(margin, extent - margin) + rng.normal(0, 8, 2) / zoom
    shift = (centre + 0.5) / (extent / 2) - 1
    matrix = np.column_stack([turn * size / extent[:, None], shift])
    return torch.from_numpy(matrix).float(), zoom


def random_light(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Gamma, contrast, inversion, colour, uneven light, blur and noise; 0 to 255 → 0 to 255."""
    x = image / 255
    if rng.random() < 0.5:
        x = x.clamp(0, 1) ** float(np.exp(rng.uniform(-0.7, 0.7)))
    if rng.random() < 0.25:
        x = 1 - x
    if rng.random() < 0.15:
        x = _recurved(x, rng)
    x = _random_colour(x, rng)
    if rng.random() < 0.5:
        x = (x - 0.5) * float(rng.uniform(0.4, 1.4)) + 0.5 + float(rng.uniform(-0.2, 0.2))
    if rng.random() < 0.2:
        slope = torch.from_numpy(rng.uniform(-0.4, 0.4, (2, 1)).astype(np.float32))
        ramp = torch.linspace(-1, 1, x.shape[-1])
        x = x * (1 + slope[0] * ramp + (slope[1] * ramp)[:, None])
    if rng.random() < 0.25:
        x = _blurred(x, float(rng.uniform(0.4, 1.8)))
    if rng.random() < 0.4:
        shape = (1 if rng.random() < 0.7 else 3, *x.shape[1:])
        deviates = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        x = x + float(np.exp(rng.uniform(np.log(0.005), np.log(0.1)))) * deviates
    return (255 * x).clamp(0, 255)


def _recurved(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Levels through a random curve, which may rise and fall: the contrast of another stain."""
    knots = rng.uniform(0, 1, 6)
    if rng.random() < 0.5:
        knots = np.sort(knots)
    curve = np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(knots)), knots)
    return torch.from_numpy(curve).float()[(255 * x.clamp(0, 1)).long()]


def _random_colour(x: Tensor, rng: np.random.Generator) -> Tensor:
    grey = bool((x[0] == x[1]).all())
    if not grey and rng.random() < 0.3:
        return x.mean(0, keepdim=True).expand(3, -1, -1)
    if not grey and rng.random() < 0.5:
        mix = np.eye(3) + rng.normal(0, 0.15, (3, 3))
        order = rng.permutation(3) if rng.random() < 0.4 else np.arange(3)
        return torch.einsum("ij,jhw->ihw", torch.from_numpy(mix[order]).float(), x)
    if grey and rng.random() < 0.1:
        tint = torch.from_numpy(rng.uniform(0, 1, 3)).float()
        return x * (tint / tint.max())[:, None, None]
    return x


def _blurred(x: Tensor, sigma: float) -> Tensor:
    reach = torch.arange(-4, 5, dtype=torch.float32)
    kernel = (-(reach**2) / (2 * sigma**2)).exp()
    kernel = kernel / kernel.sum()
    padded = F.pad(x[:, None], (4, 4, 4, 4), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[:, 0]
