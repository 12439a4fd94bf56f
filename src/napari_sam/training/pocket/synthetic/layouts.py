"""Where the objects of a synthetic image are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .signals import Layout, noise, outline_distance

LayoutMaker: TypeAlias = Callable[[np.random.Generator, int], Layout]

MIN_VISIBLE = 30  # px; what is left of an object behind its neighbours


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
        labels = np.where(outline_distance(labels) > gap, labels, 0)
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
        start = rng.uniform(-20, size + 20, 2)
        angle = alignment + rng.normal(0, spread)
        spine = _spine(start, angle, length * rng.uniform(0.5, 1.3), rng.normal(0, 0.8 / length))
        _draw_capsule(labels, spine, radius, id_)
    return labels


def rod_chains(rng: np.random.Generator, size: int) -> Layout:
    """Bacteria that have just divided: rods end to end in bent chains, the chains side by side."""
    radius = np.exp(rng.uniform(np.log(3), np.log(10)))
    length = radius * rng.uniform(2.5, 8)  # of one cell
    gap = rng.uniform(0, 0.6) * radius  # a septum is a pinch more than a gap
    n_colonies = int(rng.integers(1, 6))
    labels = np.zeros((size, size), np.int32)
    id_ = 0
    for _ in range(n_colonies):
        n_chains, n_cells = int(rng.integers(1, 9)), int(rng.integers(2, 8))
        angle, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.3 / length)
        start = rng.uniform(0, size, 2)
        across = np.array([np.cos(angle), -np.sin(angle)]) * 2.1 * radius
        for nth in range(n_chains):
            shift = across * nth + rng.normal(0, 0.3 * length) * np.array(
                [np.sin(angle), np.cos(angle)]
            )
            full = _spine(start + shift, angle + rng.normal(0, 0.04), length * n_cells, bend)
            cuts = np.cumsum(rng.uniform(0.6, 1.4, n_cells) * length).astype(int)
            for first, last in zip((0, *cuts[:-1]), cuts, strict=True):
                id_ += 1
                ends = int(radius + gap / 2)  # the caps reach this far beyond the spine
                _draw_capsule(labels, full[first + ends : last - ends + 1], radius, id_)
    return labels


def adherent(rng: np.random.Generator, size: int) -> Layout:
    """Large cells spread on glass: a body and a few flat protrusions each."""
    radius = np.exp(rng.uniform(np.log(14), np.log(60)))
    n = int(np.clip(rng.uniform(0.2, 0.9) * size**2 / (4 * radius**2), 2, 60))
    labels = np.zeros((size, size), np.int32)
    ys, xs = np.mgrid[:size, :size]
    for id_ in range(1, n + 1):
        centre, angle = rng.uniform(0, size, 2), rng.uniform(0, np.pi)
        inside = np.zeros(labels.shape, bool)
        for arm in range(int(rng.integers(2, 6))):
            turn = angle + (rng.normal(0, 0.5) if rng.random() < 0.6 else rng.uniform(0, np.pi))
            reach = radius * (rng.uniform(0.6, 1.1) if arm == 0 else rng.uniform(0.7, 1.9))
            breadth = radius * (rng.uniform(0.4, 0.8) if arm == 0 else rng.uniform(0.08, 0.35))
            off = 0 if arm == 0 else rng.uniform(-0.8, 0.8) * reach
            dy, dx = ys - centre[0] - off * np.sin(turn), xs - centre[1] - off * np.cos(turn)
            u = (np.cos(turn) * dx + np.sin(turn) * dy) / reach
            v = (np.cos(turn) * dy - np.sin(turn) * dx) / breadth
            inside |= u**2 + v**2 < 1
        labels[inside & (labels == 0)] = id_
    return labels


def nuclei_in(cells: Layout, rng: np.random.Generator) -> Layout:
    """One nucleus inside each cell, under the cell's id."""
    depth = outline_distance(cells)
    deepest = np.append(0, ndimage.maximum(depth, cells, range(1, cells.max() + 1)))
    wanted = rng.uniform(0.3, 0.65, cells.max() + 1)
    core = (cells > 0) & (depth > (deepest * wanted)[cells])
    return np.where(core, cells, 0).astype(np.int32)


def _spine(
    start: NDArray[np.float64], angle: float, length: float, bend: float
) -> NDArray[np.float64]:
    """Points (n, 2) one pixel apart along an arc."""
    angles = angle + bend * np.linspace(0, length, int(length) + 2)
    points: NDArray[np.float64] = np.cumsum(np.stack([np.sin(angles), np.cos(angles)], 1), 0)
    return start + points


def _draw_capsule(labels: Layout, spine: NDArray[np.float64], radius: float, id_: int) -> None:
    """Label the pixels within a radius of a spine that no object has yet."""
    if len(spine) == 0:
        return
    size = len(labels)
    low = np.floor(spine.min(0) - radius - 1).astype(int).clip(0, size)
    high = np.ceil(spine.max(0) + radius + 2).astype(int).clip(0, size)
    if (high <= low).any():
        return
    ys, xs = np.mgrid[low[0] : high[0], low[1] : high[1]]
    spine = spine[:: max(1, int(radius / 2))]
    squared = (ys[..., None] - spine[:, 0]) ** 2 + (xs[..., None] - spine[:, 1]) ** 2
    window = labels[low[0] : high[0], low[1] : high[1]]
    window[(squared.min(-1) < radius**2) & (window == 0)] = id_


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


def warped(labels: Layout, rng: np.random.Generator) -> Layout:
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


def visible_pieces(labels: Layout) -> Layout:
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


# Drawn with equal chance; what is named more often is more often met
LAYOUTS: tuple[LayoutMaker, ...] = (
    scattered,
    scattered,
    clustered,
    clustered,
    tissue,
    rods,
    rod_chains,
    rod_chains,
    adherent,
)
