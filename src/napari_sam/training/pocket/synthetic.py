"""Synthetic microscopy: many kinds of cells in many kinds of contrast, for what the data lacks.

An image is a layout (where the objects are) in an appearance (what the microscope shows of them),
both drawn at random. Realism matters less than variety: the network should learn that an object is
what differs from its surroundings in level, texture or outline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional as F

from napari_sam.training.data import AnnotatedFrame

Layout: TypeAlias = NDArray[np.int32]  # (H, W), 0 = background
Image: TypeAlias = NDArray[np.floating[Any]]  # (H, W) or (H, W, 3), about 0 to 1
LayoutMaker: TypeAlias = Callable[[np.random.Generator, int], Layout]
AppearanceMaker: TypeAlias = Callable[[Layout, np.random.Generator], Image]

MIN_VISIBLE = 30  # px; what is left of an object behind its neighbours


def synthesise(rng: np.random.Generator, size: int = 384) -> AnnotatedFrame:
    """One random image (size, size, 3) and its objects."""
    labels = _warped(LAYOUTS[rng.integers(len(LAYOUTS))](rng, size), rng)
    labels = _visible_pieces(labels)
    image = APPEARANCES[rng.integers(len(APPEARANCES))](labels, rng)
    if image.ndim == 2:
        image = image[..., None]
    low, high = np.percentile(image[::2, ::2], (0.1, 99.9))
    image = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    return AnnotatedFrame(
        "synthetic", np.broadcast_to(255 * image, (size, size, 3)).astype(np.uint8), labels
    )


# Layouts ---------------------------------------------------------------------------------------


def scattered(rng: np.random.Generator, size: int) -> Layout:
    """Blobs anywhere, touching and overlapping as chance has it."""
    radius = np.exp(rng.uniform(np.log(5), np.log(60)))
    n = int(np.clip(rng.uniform(0.1, 0.9) * size**2 / (np.pi * radius**2), 2, 250))
    return _blobs(rng, size, rng.uniform(0, size, (n, 2)), radius)


def clustered(rng: np.random.Generator, size: int) -> Layout:
    """Blobs in dense clumps."""
    radius = np.exp(rng.uniform(np.log(5), np.log(35)))
    n_clumps = int(rng.integers(1, 7))
    n = int(np.clip(rng.uniform(0.1, 0.5) * size**2 / (np.pi * radius**2) / n_clumps, 2, 60))
    centres = rng.uniform(0, size, (n_clumps, 1, 2))
    spread = radius * np.sqrt(n) * rng.uniform(0.5, 1.2)
    return _blobs(
        rng, size, (centres + rng.normal(0, spread, (n_clumps, n, 2))).reshape(-1, 2), radius
    )


def tissue(rng: np.random.Generator, size: int) -> Layout:
    """A mosaic of cells without gaps (nearest of random seeds), some of them left out."""
    spacing = np.exp(rng.uniform(np.log(12), np.log(90)))
    n = max(3, int(1.5 * (size / spacing) ** 2))
    seeds = np.ones((size, size), bool)
    ids = np.zeros((size, size), np.int32)
    where = rng.integers(0, size, (n, 2))
    seeds[tuple(where.T)] = False
    ids[tuple(where.T)] = np.arange(1, n + 1)
    nearest = ndimage.distance_transform_edt(seeds, return_distances=False, return_indices=True)
    labels = ids[tuple(nearest)]
    gap = rng.choice([0, 0, 1, 2, 4])
    if gap:
        labels = np.where(_distance(labels) > gap, labels, 0)
    missing = rng.random(n + 1) < rng.choice([0, 0, 0.2, 0.5])
    return np.where(missing[labels], 0, labels).astype(np.int32)


def rods(rng: np.random.Generator, size: int) -> Layout:
    """Bacteria, fibres and other curved rods."""
    radius = rng.uniform(2.5, 9)
    length = radius * rng.uniform(3, 14)
    n = int(np.clip(rng.uniform(0.1, 0.7) * size**2 / (2 * radius * length), 3, 200))
    labels = np.zeros((size, size), np.int32)
    alignment = rng.uniform(0, np.pi)
    spread = rng.choice([0.15, 0.6, 3.0])
    for id_ in range(1, n + 1):
        steps = np.linspace(0, length * rng.uniform(0.5, 1.3), int(length) + 2)
        angles = alignment + rng.normal(0, spread) + rng.normal(0, 0.8 / length) * steps
        spine = np.cumsum(np.stack([np.sin(angles), np.cos(angles)], 1), 0)
        spine += rng.uniform(-20, size + 20, 2)
        low = np.floor(spine.min(0) - radius - 1).astype(int).clip(0, size)
        high = np.ceil(spine.max(0) + radius + 2).astype(int).clip(0, size)
        if (high <= low).any():
            continue
        ys, xs = np.mgrid[low[0] : high[0], low[1] : high[1]]
        spine = spine[:: max(1, int(radius / 2))]
        squared = (ys[..., None] - spine[:, 0]) ** 2 + (xs[..., None] - spine[:, 1]) ** 2
        window = labels[low[0] : high[0], low[1] : high[1]]
        window[(squared.min(-1) < radius**2) & (window == 0)] = id_
    return labels


def _blobs(
    rng: np.random.Generator, size: int, centres: NDArray[np.float64], radius: float
) -> Layout:
    """Ellipses with wavy outlines, r(θ) = r (1 + Σ a_k cos(k θ + φ_k)), one above another."""
    labels = np.zeros((size, size), np.int32)
    elongation, waviness = rng.uniform(1, 2.2), rng.uniform(0, 0.16)
    variety = rng.uniform(0.05, 0.4)
    above = rng.random() < 0.3
    for id_, (y, x) in enumerate(centres, 1):
        r = radius * np.exp(rng.normal(0, variety))
        reach = 1.6 * r * elongation
        y0, y1 = (int(np.clip(v, 0, size)) for v in (y - reach, y + reach + 1))
        x0, x1 = (int(np.clip(v, 0, size)) for v in (x - reach, x + reach + 1))
        if y1 <= y0 or x1 <= x0:
            continue
        dy, dx = np.mgrid[y0:y1, x0:x1] - np.array([y, x])[:, None, None]
        angle = rng.uniform(0, np.pi)
        stretch = rng.uniform(1, elongation) ** 0.5
        u = (np.cos(angle) * dx + np.sin(angle) * dy) / stretch
        v = (np.cos(angle) * dy - np.sin(angle) * dx) * stretch
        theta = np.arctan2(v, u)
        waves = sum(
            rng.normal(0, waviness / np.sqrt(k)) * np.cos(k * theta + rng.uniform(0, 2 * np.pi))
            for k in (2, 3, 4, 5)
        )
        window = labels[y0:y1, x0:x1]
        window[(np.hypot(u, v) < r * (1 + waves)) & ((window == 0) | above)] = id_
    return labels


def _warped(labels: Layout, rng: np.random.Generator) -> Layout:
    """Outlines bent by a smooth random displacement."""
    if rng.random() < 0.3:
        return labels
    size = len(labels)
    cell = int(rng.integers(12, 80))
    strength = cell * rng.uniform(0.05, 0.45)
    ys, xs = np.mgrid[:size, :size]
    dy, dx = (strength * noise(rng, (size, size), cell) for _ in range(2))
    ys, xs = (np.clip(np.rint(at), 0, size - 1).astype(int) for at in (ys + dy, xs + dx))
    warped: Layout = labels[ys, xs]
    return warped


def _visible_pieces(labels: Layout) -> Layout:
    """Objects as annotators would draw them: each in one piece and not too small."""
    pieces = np.zeros_like(labels)
    for id_, window in enumerate(ndimage.find_objects(labels), 1):
        if window is None:
            continue
        parts, n = ndimage.label(labels[window] == id_)
        areas = np.bincount(parts.ravel(), minlength=n + 1)[1:]
        if areas.max() >= MIN_VISIBLE:
            pieces[window][parts == 1 + areas.argmax()] = id_
    return pieces


# Appearances -----------------------------------------------------------------------------------


def fluorescence(labels: Layout, rng: np.random.Generator) -> Image:
    """Bright objects of varied level, profile and texture on a dark, hazy ground."""
    levels = np.exp(_per_object(labels, rng, rng.uniform(0.05, 0.7)))
    profile = _profile(labels, rng) * (1 + rng.uniform(0, 0.7) * texture(rng, labels.shape))
    image = np.where(labels > 0, levels * np.clip(profile, 0.05, None), 0)
    haze = ndimage.gaussian_filter(image, rng.uniform(6, 25)) * rng.choice([0, 0.2, 0.6])
    ground = rng.uniform(0, 0.25) * (1 + 0.5 * noise(rng, labels.shape, 120))
    image = ndimage.gaussian_filter(image + haze + ground, rng.uniform(0.3, 2.5))
    return _detected(image, rng)


def membranes(labels: Layout, rng: np.random.Generator) -> Image:
    """Outlines brighter or darker than what they enclose: membranes, electron microscopy."""
    distance = _distance(labels)
    width = rng.uniform(0.8, 3.5)
    outline = np.exp(-((distance - rng.uniform(0, width)) ** 2) / width**2)
    outline *= (distance < 20) * (1 + 0.5 * rng.normal() * noise(rng, labels.shape, 30))
    inside = rng.uniform(0, 0.5) * texture(rng, labels.shape) + 0.3 * _per_object(labels, rng, 0.3)
    ground = np.where(labels > 0, 0, rng.uniform(-0.5, 0.5) + 0.3 * texture(rng, labels.shape))
    sign = rng.choice([-1, 1])
    vesicles = rng.choice([0, 0.5]) * (noise(rng, labels.shape, int(rng.integers(4, 12))) > 1.3)
    image = sign * rng.uniform(0.6, 1.5) * outline + 0.5 * inside + ground - vesicles
    return _detected(ndimage.gaussian_filter(image, rng.uniform(0.3, 1.5)), rng)


def phase_contrast(labels: Layout, rng: np.random.Generator) -> Image:
    """Cells a little off the ground's level, granular, with a bright halo around them."""
    mask = (labels > 0).astype(np.float32)
    halo_width = rng.uniform(1.5, 6)
    halo = np.clip(
        ndimage.gaussian_filter(mask, halo_width) - ndimage.gaussian_filter(mask, 3 * halo_width)
        - 0.6 * mask, 0, None,
    ) * rng.uniform(0, 3)  # fmt: skip
    edge = np.exp(-((_distance(labels) - 1) ** 2) / rng.uniform(1, 6)) * rng.uniform(-0.5, 1)
    inside = mask * (rng.normal(0, 0.5) + rng.uniform(0.1, 0.5) * texture(rng, labels.shape))
    inside += mask * _profile(labels, rng) * rng.normal(0, 0.4) + _per_object(labels, rng, 0.15)
    ground = 0.3 * noise(rng, labels.shape, 150) + rng.uniform(0, 0.08) * texture(rng, labels.shape)
    image = rng.choice([-1, 1, 1]) * (halo + mask * edge) + inside + ground
    return _detected(ndimage.gaussian_filter(image, rng.uniform(0.3, 1.3)), rng)


def relief(labels: Layout, rng: np.random.Generator) -> Image:
    """Differential interference contrast: the slope of the optical path, lit from one side."""
    height = np.sqrt(_distance(labels) * (labels > 0)) * np.exp(_per_object(labels, rng, 0.2))
    height += rng.uniform(0.05, 0.5) * texture(rng, labels.shape) * (0.3 + (labels > 0))
    height = ndimage.gaussian_filter(height, rng.uniform(0.6, 2))
    angle = rng.uniform(0, 2 * np.pi)
    slope_y, slope_x = np.gradient(height)
    image = np.cos(angle) * slope_y + np.sin(angle) * slope_x
    return _detected(image + 0.05 * noise(rng, labels.shape, 100), rng)


def stained(labels: Layout, rng: np.random.Generator) -> Image:
    """Coloured light absorbed by dyes (Beer and Lambert): stained tissue, smears, brightfield."""
    shape = labels.shape
    mask = labels > 0
    dye = np.clip(_profile(labels, rng) + 0.4 * rng.random() * texture(rng, shape), 0.1, None)
    dye = mask * dye * np.exp(_per_object(labels, rng, rng.uniform(0.05, 0.4)))
    body = ndimage.gaussian_filter(mask.astype(np.float32), rng.uniform(3, 20))
    body = body * rng.uniform(0, 1) + rng.uniform(0, 0.5) * np.abs(texture(rng, shape))
    dye, body = (ndimage.gaussian_filter(x, rng.uniform(0.3, 1.5)) for x in (dye, body))
    absorbs_dye, absorbs_body = rng.uniform(0.1, 1.5, 3), rng.uniform(0, 0.8, 3)
    if rng.random() < 0.35:
        absorbs_dye, absorbs_body = (np.full(3, x.mean()) for x in (absorbs_dye, absorbs_body))
    light = rng.uniform(0.75, 1, 3)
    image = light * np.exp(-dye[..., None] * absorbs_dye - body[..., None] * absorbs_body)
    noisy: Image = image + rng.uniform(0, 0.03) * rng.normal(size=image.shape)
    return noisy


def textured(labels: Layout, rng: np.random.Generator) -> Image:
    """Objects and ground that differ in colour and texture only, shaded as surfaces are."""
    image = _texture_rgb(rng, labels.shape)
    n_looks = int(rng.integers(1, 5))
    looks = [_texture_rgb(rng, labels.shape) for _ in range(n_looks)]
    which = rng.integers(0, n_looks, labels.max() + 1)[labels]
    for look, appearance in enumerate(looks):
        image = np.where(((labels > 0) & (which == look))[..., None], appearance, image)
    image = (
        image * (0.8 + 0.2 * _profile(labels, rng))[..., None]
        + 0.15 * _per_object(labels, rng, 0.7)[..., None]
    )
    if rng.random() < 0.5:
        image = image.mean(-1, keepdims=True)
    blur = rng.uniform(0.3, 1.5)
    blurred: Image = ndimage.gaussian_filter(image, (blur, blur, 0))
    return blurred


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


def _texture_rgb(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    colour, direction = rng.uniform(0, 1, 3), rng.normal(0, 0.2, 3)
    return (colour + direction * texture(rng, shape)[..., None]).astype(np.float32)


def _distance(labels: Layout) -> Image:
    """Distance of each pixel to the nearest outline, inside and outside of objects."""
    same = np.ones(labels.shape, bool)
    for axis in (0, 1):
        change = np.diff(labels, axis=axis) != 0
        same[(slice(1, None), slice(None))[:: 1 if axis == 0 else -1]] &= ~change
    distance: Image = ndimage.distance_transform_edt(same).astype(np.float32)
    return distance


def _profile(labels: Layout, rng: np.random.Generator) -> Image:
    """Level over the inside of objects: flat, dome, ring or bright rim."""
    depth = _distance(labels) / rng.uniform(3, 15)
    level = rng.uniform(0.1, 0.6)
    profiles: dict[str, Image] = {
        "flat": np.ones(labels.shape),
        "dome": np.clip(depth, 0.2, 1),
        "ring": np.exp(-((depth - 0.5) ** 2) * 8) + level,
        "rim": np.exp(-depth * 2) + level,
    }
    return profiles[rng.choice(["flat", "flat", "dome", "ring", "rim"])]


def _per_object(labels: Layout, rng: np.random.Generator, spread: float) -> Image:
    """A normal deviate for each object, 0 on the ground."""
    values = rng.normal(0, spread, labels.max() + 1).astype(np.float32)
    values[0] = 0
    deviates: Image = values[labels]
    return deviates


def _detected(image: Image, rng: np.random.Generator) -> Image:
    """With the noise of photons and of the camera, and sometimes uneven light."""
    image = image - image.min()
    image = image / max(float(image.max()), 1e-6)
    if rng.random() < 0.3:
        image = image * (1 + 0.3 * noise(rng, image.shape, 250)).clip(0.3)
    amount = np.exp(rng.uniform(np.log(0.003), np.log(0.12)))
    noisy: Image = image + amount * np.sqrt(image + 0.1) * rng.normal(size=image.shape)
    return noisy


# Drawn with equal chance; what is named more often is more often met
LAYOUTS: tuple[LayoutMaker, ...] = (
    scattered,
    scattered,
    scattered,
    clustered,
    clustered,
    tissue,
    rods,
)
APPEARANCES: tuple[AppearanceMaker, ...] = (
    fluorescence,
    fluorescence,
    membranes,
    phase_contrast,
    relief,
    stained,
    stained,
    textured,
)
