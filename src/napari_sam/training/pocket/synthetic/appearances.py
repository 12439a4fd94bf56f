"""How a microscope images the objects of a synthetic image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy import ndimage

from .signals import (
    Image,
    Layout,
    detected,
    level_profile,
    noise,
    outline_distance,
    per_object,
    texture,
    texture_rgb,
)

AppearanceMaker: TypeAlias = Callable[[Layout, np.random.Generator], Image]


def fluorescence(labels: Layout, rng: np.random.Generator) -> Image:
    """Bright objects of varied level, profile and texture on a dark, hazy ground."""
    levels = np.exp(per_object(labels, rng, rng.uniform(0.05, 0.7)))
    profile = level_profile(labels, rng) * (1 + rng.uniform(0, 0.7) * texture(rng, labels.shape))
    image = np.where(labels > 0, levels * np.clip(profile, 0.05, None), 0)
    haze = ndimage.gaussian_filter(image, rng.uniform(6, 25)) * rng.choice([0, 0.2, 0.6])
    ground = rng.uniform(0, 0.25) * (1 + 0.5 * noise(rng, labels.shape, 120))
    image = ndimage.gaussian_filter(image + haze + ground, rng.uniform(0.3, 2.5))
    return detected(image, rng)


def membranes(labels: Layout, rng: np.random.Generator) -> Image:
    """Outlines brighter or darker than what they enclose: membranes, electron microscopy."""
    distance = outline_distance(labels)
    width = rng.uniform(0.8, 3.5)
    outline = np.exp(-((distance - rng.uniform(0, width)) ** 2) / width**2)
    outline *= (distance < 20) * (1 + 0.5 * rng.normal() * noise(rng, labels.shape, 30))
    inside = rng.uniform(0, 0.5) * texture(rng, labels.shape) + 0.3 * per_object(labels, rng, 0.3)
    ground = np.where(labels > 0, 0, rng.uniform(-0.5, 0.5) + 0.3 * texture(rng, labels.shape))
    sign = rng.choice([-1, 1])
    vesicles = rng.choice([0, 0.5]) * (noise(rng, labels.shape, int(rng.integers(4, 12))) > 1.3)
    image = sign * rng.uniform(0.6, 1.5) * outline + 0.5 * inside + ground - vesicles
    return detected(ndimage.gaussian_filter(image, rng.uniform(0.3, 1.5)), rng)


def phase_contrast(labels: Layout, rng: np.random.Generator) -> Image:
    """Cells a little off the ground's level, granular, with a bright halo around them."""
    mask = (labels > 0).astype(np.float32)
    halo_width = rng.uniform(1.5, 6)
    halo = np.clip(
        ndimage.gaussian_filter(mask, halo_width) - ndimage.gaussian_filter(mask, 3 * halo_width)
        - 0.6 * mask, 0, None,
    ) * rng.uniform(0, 3)  # fmt: skip
    edge = np.exp(-((outline_distance(labels) - 1) ** 2) / rng.uniform(1, 6)) * rng.uniform(-0.5, 1)
    inside = mask * (rng.normal(0, 0.5) + rng.uniform(0.1, 0.5) * texture(rng, labels.shape))
    inside += mask * level_profile(labels, rng) * rng.normal(0, 0.4) + per_object(labels, rng, 0.15)
    ground = 0.3 * noise(rng, labels.shape, 150) + rng.uniform(0, 0.08) * texture(rng, labels.shape)
    image = rng.choice([-1, 1, 1]) * (halo + mask * edge) + inside + ground
    return detected(ndimage.gaussian_filter(image, rng.uniform(0.3, 1.3)), rng)


def phase_ring(labels: Layout, rng: np.random.Generator) -> Image:
    """Phase contrast as its optics make it: thickness minus its blur by the phase ring.

    The halo is wide, and large cells lose their contrast towards the middle (Yin et al. 2012,
    "Understanding the phase contrast optics to restore artifact-free microscopy images").
    """
    inside = labels > 0
    depth = outline_distance(labels) * inside
    thickness = np.minimum(depth / rng.uniform(2, 12), 1) ** rng.uniform(0.4, 1)
    thickness = thickness * np.exp(per_object(labels, rng, rng.uniform(0.05, 0.4)))
    thickness = thickness * (1 + rng.uniform(0, 0.5) * texture(rng, labels.shape))
    thickness = ndimage.gaussian_filter(thickness, rng.uniform(0.4, 1.5))
    ring = np.exp(rng.uniform(np.log(3), np.log(25)))
    halo = ndimage.gaussian_filter(thickness, ring)
    image = rng.uniform(0.8, 1.6) * halo - thickness  # cells dark, their surroundings bright
    if rng.random() < 0.3:
        rim = np.exp(-((outline_distance(labels) - 1) ** 2) / rng.uniform(1, 8)) * inside
        image = image + rng.uniform(0.5, 2) * rim  # thick edges beyond the first order
    debris = rng.uniform(0, 0.15) * (texture(rng, labels.shape) > 2)
    image = rng.choice([1, 1, -1]) * image + debris + 0.1 * noise(rng, labels.shape, 150)
    return detected(image, rng)


def confocal(labels: Layout, rng: np.random.Generator) -> Image:
    """A slice of a volume: few photons, holes in the objects, and others out of focus."""
    body = np.clip(
        level_profile(labels, rng) * (1 - 0.5 * (texture(rng, labels.shape) > 1)), 0, None
    )
    body = (labels > 0) * body * np.exp(per_object(labels, rng, rng.uniform(0.1, 0.6)))
    shift = tuple(int(v) for v in rng.integers(-60, 60, 2))
    beyond = np.roll(ndimage.gaussian_filter(body, rng.uniform(3, 9)), shift, (0, 1))
    image = ndimage.gaussian_filter(body, rng.uniform(0.5, 2.5)) + rng.uniform(0, 0.6) * beyond
    image = image + rng.uniform(0.01, 0.3)
    photons = np.exp(rng.uniform(np.log(3), np.log(60)))
    counted = rng.poisson(photons * image / max(float(image.max()), 1e-6)).astype(np.float32)
    seen: Image = ndimage.gaussian_filter(counted, rng.uniform(0, 0.8))
    return seen


def relief(labels: Layout, rng: np.random.Generator) -> Image:
    """Differential interference contrast: the slope of the optical path, lit from one side."""
    height = np.sqrt(outline_distance(labels) * (labels > 0)) * np.exp(per_object(labels, rng, 0.2))
    height += rng.uniform(0.05, 0.5) * texture(rng, labels.shape) * (0.3 + (labels > 0))
    height = ndimage.gaussian_filter(height, rng.uniform(0.6, 2))
    angle = rng.uniform(0, 2 * np.pi)
    slope_y, slope_x = np.gradient(height)
    image = np.cos(angle) * slope_y + np.sin(angle) * slope_x
    return detected(image + 0.05 * noise(rng, labels.shape, 100), rng)


def stained(labels: Layout, rng: np.random.Generator) -> Image:
    """Coloured light absorbed by dyes (Beer and Lambert): stained tissue, smears, brightfield."""
    shape = labels.shape
    mask = labels > 0
    dye = np.clip(level_profile(labels, rng) + 0.4 * rng.random() * texture(rng, shape), 0.1, None)
    dye = mask * dye * np.exp(per_object(labels, rng, rng.uniform(0.05, 0.4)))
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
    image = texture_rgb(rng, labels.shape)
    n_looks = int(rng.integers(1, 5))
    looks = [texture_rgb(rng, labels.shape) for _ in range(n_looks)]
    which = rng.integers(0, n_looks, labels.max() + 1)[labels]
    for look, appearance in enumerate(looks):
        image = np.where(((labels > 0) & (which == look))[..., None], appearance, image)
    image = (
        image * (0.8 + 0.2 * level_profile(labels, rng))[..., None]
        + 0.15 * per_object(labels, rng, 0.7)[..., None]
    )
    if rng.random() < 0.5:
        image = image.mean(-1, keepdims=True)
    blur = rng.uniform(0.3, 1.5)
    blurred: Image = ndimage.gaussian_filter(image, (blur, blur, 0))
    return blurred


# Drawn with equal chance; what is named more often is more often met
APPEARANCES: tuple[AppearanceMaker, ...] = (
    fluorescence,
    fluorescence,
    confocal,
    membranes,
    phase_contrast,
    phase_ring,
    phase_ring,
    relief,
    relief,
    stained,
    stained,
    textured,
)
