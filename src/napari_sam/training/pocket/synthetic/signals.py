"""The components of synthetic images: smooth noise, textures, distances, profiles, detection."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional as F

Layout: TypeAlias = NDArray[np.int32]  # (H, W), 0 = background
Image: TypeAlias = NDArray[np.floating[Any]]  # (H, W) or (H, W, 3), about 0 to 1


def noise(rng: np.random.Generator, shape: tuple[int, int], cell: int) -> Image:
    """Smooth noise of unit variance that changes over ``cell`` pixels."""
    h, w = (side // cell + 3 for side in shape)
    coarse = torch.from_numpy(rng.normal(size=(1, 1, h, w)).astype(np.float32))
    fine = F.interpolate(coarse, (h * cell, w * cell), mode="bicubic", align_corners=False)[0, 0]
    y, x = rng.integers(0, 2 * cell, 2)
    smooth: Image = 1.3 * fine[y : y + shape[0], x : x + shape[1]].numpy()
    return smooth


def texture(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Noise of two random scales, sometimes spotted."""
    fine, coarse = (int(np.exp(rng.uniform(np.log(2), np.log(high)))) for high in (8, 40))
    mixed = rng.uniform(0.2, 1) * noise(rng, shape, fine) + rng.uniform(0, 1) * noise(
        rng, shape, coarse
    )
    return np.abs(mixed) * 2 - 1 if rng.random() < 0.25 else mixed


def texture_rgb(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    colour, direction = rng.uniform(0, 1, 3), rng.normal(0, 0.2, 3)
    return (colour + direction * texture(rng, shape)[..., None]).astype(np.float32)


def outline_distance(labels: Layout) -> Image:
    """Distance of each pixel to the nearest outline, inside and outside of objects."""
    same = np.ones(labels.shape, bool)
    for axis in (0, 1):
        change = np.diff(labels, axis=axis) != 0
        same[(slice(1, None), slice(None))[:: 1 if axis == 0 else -1]] &= ~change
    distance: Image = ndimage.distance_transform_edt(same).astype(np.float32)
    return distance


def level_profile(labels: Layout, rng: np.random.Generator) -> Image:
    """Level over the inside of objects: flat, dome, ring or bright rim."""
    depth = outline_distance(labels) / rng.uniform(3, 15)
    level = rng.uniform(0.1, 0.6)
    profiles: dict[str, Image] = {
        "flat": np.ones(labels.shape),
        "dome": np.clip(depth, 0.2, 1),
        "ring": np.exp(-((depth - 0.5) ** 2) * 8) + level,
        "rim": np.exp(-depth * 2) + level,
    }
    return profiles[rng.choice(["flat", "flat", "dome", "ring", "rim"])]


def per_object(labels: Layout, rng: np.random.Generator, spread: float) -> Image:
    """A normal deviate for each object, 0 on the ground."""
    values = rng.normal(0, spread, labels.max() + 1).astype(np.float32)
    values[0] = 0
    deviates: Image = values[labels]
    return deviates


def detected(image: Image, rng: np.random.Generator) -> Image:
    """With the noise of photons and of the camera, and sometimes uneven light."""
    image = image - image.min()
    image = image / max(float(image.max()), 1e-6)
    if rng.random() < 0.3:
        image = image * (1 + 0.3 * noise(rng, image.shape, 250)).clip(0.3)
    amount = np.exp(rng.uniform(np.log(0.003), np.log(0.12)))
    noisy: Image = image + amount * np.sqrt(image + 0.1) * rng.normal(size=image.shape)
    return noisy
