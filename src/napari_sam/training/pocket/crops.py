"""Training crops: a random window of a frame at a random size, in random light, as tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_sam.training.augment import random_light
from napari_sam.training.data import AnnotatedFrame

from .synthetic import synthesise

DIAMETERS = (10.0, 150.0)  # crop pixels: the sizes at which the levels of the network show cells
MAX_ZOOM = 6.0  # crop pixels per frame pixel; beyond it there is nothing more to see
MAX_SIDE = 2048  # pixels; a larger frame is cut, since every crop reads all of its source
RICH = 0.3  # exponent of a source's number of objects in its chance to be drawn
MIN_FILLED = 0.45  # share of the crop's side that the frame's longer one fills at least


@dataclass(frozen=True, eq=False)
class Source:
    """A frame ready for cropping, and its typical object's diameter in its own pixels."""

    image: Tensor  # (3, H, W) uint8
    labels: Tensor  # (H, W) int32
    areas: NDArray[np.int64]  # pixels of each label
    centres: NDArray[np.float64]  # (n, 2) x, y of its objects
    diameter: float
    complete: bool  # every object is labelled, so that the ground is known to be ground

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
            frame.complete,
        )

    @property
    def n_objects(self) -> int:
        """How many objects it shows."""
        return len(self.centres)


@dataclass(frozen=True, eq=False)
class SourcePool:
    """Frames to draw crops from, grouped by source, and the synthetic ones."""

    groups: tuple[tuple[Source, ...], ...]
    chances: NDArray[np.float64]  # of each group
    synthetic: tuple[Source, ...]
    synthetic_share: float

    def draw(self, rng: np.random.Generator) -> Source:
        """A frame: first whether real or synthetic, then its source, then which of them."""
        if self.synthetic and rng.random() < self.synthetic_share:
            group = self.synthetic
        else:
            group = self.groups[rng.choice(len(self.groups), p=self.chances)]
        return group[rng.integers(len(group))]


def pool_of(
    frames: Iterable[AnnotatedFrame], n_synthetic: int, synthetic_share: float, seed: int
) -> SourcePool:
    """Frames for training, and synthetic ones beside them."""
    grouped: dict[tuple[str, str], list[Source]] = {}
    for frame in frames:
        for tile in _tiles(frame):
            key = (frame.modality, frame.source)
            grouped.setdefault(key, []).append(Source.from_frame(tile))
    n_objects = [sum(source.n_objects for source in group) for group in grouped.values()]
    chances = source_chances([modality for modality, _ in grouped], n_objects)
    rng = np.random.default_rng(seed)
    made = (synthesise(rng) for _ in range(n_synthetic))
    synthetic = tuple(Source.from_frame(frame) for frame in made if frame.labels.any())
    groups = tuple(tuple(group) for group in grouped.values())
    return SourcePool(groups, chances, synthetic, synthetic_share)


def source_chances(modalities: Sequence[str], n_objects: Sequence[int]) -> NDArray[np.float64]:
    """How often each source is drawn: rich ones a little more, common modalities a little less."""
    weights = np.array(n_objects, np.float64) ** RICH
    totals = dict.fromkeys(modalities, 0.0)
    for name, weight in zip(modalities, weights, strict=True):
        totals[name] += weight
    damped = weights / np.sqrt([totals[name] for name in modalities])
    chances: NDArray[np.float64] = damped / damped.sum()
    return chances


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


def _tiles(frame: AnnotatedFrame) -> Iterator[AnnotatedFrame]:
    """The frame; of a very large one the pieces that hold objects."""
    height, width = frame.labels.shape
    for y in range(0, height, MAX_SIDE):
        for x in range(0, width, MAX_SIDE):
            piece = (slice(y, y + MAX_SIDE), slice(x, x + MAX_SIDE))
            if frame.labels[piece].any():
                yield replace(frame, image=frame.image[piece], labels=frame.labels[piece])
