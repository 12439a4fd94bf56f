"""The shapes of all objects of a frame at once; skimage's ``regionprops`` is the reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import Runs

from .hulls import Hulls
from .units import Units

Columns = dict[str, NDArray[Any]]

# What a pixel of the outline adds to it, by how many of its neighbours there, beside (2 each) and
# across corners (10 each), are of the outline: Benkrid and Crookes, as skimage has it
WEIGHTS = np.zeros(50)
WEIGHTS[[5, 7, 15, 17, 25, 27]] = 1
WEIGHTS[[21, 33]] = math.sqrt(2)
WEIGHTS[[13, 23]] = (1 + math.sqrt(2)) / 2
BESIDE = ((-1, 0), (1, 0), (0, -1), (0, 1))
ACROSS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def shapes(labels: NDArray[Any], runs: Runs, units: Units) -> Columns:
    """Area, diameter, outline, axes, Feret's diameters, place: a column each, a row an object.

    Parameters
    ----------
    labels
        Ids of one frame ``(H, W)``.
    runs
        The same as runs.
    units
        Of the frame's two axes.
    """
    height, width = units.size
    n_pixels = runs.total(runs.lengths).astype(float)
    area = n_pixels * height * width
    outline = perimeters(labels, runs) * (height if units.is_square else math.nan)
    hulls = Hulls.of(runs)
    longest, shortest = hulls.feret((height, width))
    y, x = centroids(runs)
    major, minor, angle = _axes(runs, y, x, (height, width))
    with np.errstate(divide="ignore", invalid="ignore"):
        roundness = np.minimum(4 * math.pi * area / outline**2, 1)
        eccentricity = np.sqrt(np.where(major > 0, 1 - (minor / major) ** 2, 0))
    length = units.length
    return {
        f"area_{units.area}": area,
        f"diameter_{length}": np.sqrt(4 * area / math.pi),
        f"perimeter_{length}": outline,
        "circularity": np.where(outline == 0, 1, roundness),
        "solidity": n_pixels / hulls.n_pixels(),
        "eccentricity": eccentricity,
        f"axis_major_{length}": major,
        f"axis_minor_{length}": minor,
        "orientation_deg": np.degrees(angle),
        f"feret_max_{length}": longest,
        f"feret_min_{length}": shortest,
        **places((y, x), units),
        **boxes(runs),
    }


def centroids(runs: Runs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean ``y`` and ``x`` of each object, in pixels."""
    n = runs.total(runs.lengths)
    middle = (runs.starts + runs.stops - 1) / 2
    return runs.total(runs.rows * runs.lengths) / n, runs.total(middle * runs.lengths) / n


def places(centres: tuple[NDArray[np.float64], ...], units: Units) -> Columns:
    """Centroids in the units of the image, and in pixels where these are others."""
    names = "zyx"[-len(centres) :]
    sized = zip(names, centres, units.size, strict=True)
    columns = {f"centroid_{name}_{units.length}": at * size for name, at, size in sized}
    if not units.in_pixels:
        columns |= {f"centroid_{n}_px": at for n, at in zip(names, centres, strict=True)}
    return columns


def boxes(runs: Runs) -> Columns:
    """The smallest box in pixels: its first row and column, and those after its last."""
    height, width = runs.shape[-2:]
    rows = runs.rows % height
    y0, y1 = runs.lowest(rows), runs.highest(rows) + 1
    x0, x1 = runs.lowest(runs.starts), runs.highest(runs.stops)
    at_border = (y0 == 0) | (x0 == 0) | (y1 == height) | (x1 == width)
    return {"box_y0": y0, "box_x0": x0, "box_y1": y1, "box_x1": x1, "at_border": at_border}


def perimeters(labels: NDArray[Any], runs: Runs) -> NDArray[np.float64]:
    """The length of each object's outline in square pixels, as ``skimage.measure.perimeter``."""
    padded = np.pad(labels, 2)
    width = padded.shape[1]
    flat = padded.ravel()
    # Only pixels with another one beside them are of an outline
    edge = np.zeros(padded.shape, bool)
    core = padded[1:-1, 1:-1]
    differs = np.zeros(core.shape, bool)
    for dy, dx in BESIDE:
        differs |= core != padded[1 + dy : padded.shape[0] - 1 + dy, 1 + dx : width - 1 + dx]
    edge[1:-1, 1:-1] = differs & (core != 0)
    on_edge = edge.ravel()
    at = np.flatnonzero(on_edge)
    ids = flat[at]
    codes = np.ones(len(at), np.intp)
    for steps, worth in ((BESIDE, 2), (ACROSS, 10)):
        for dy, dx in steps:
            other = at + dy * width + dx
            codes += worth * (on_edge[other] & (flat[other] == ids))
    order = np.searchsorted(runs.ids, ids)
    return np.bincount(order, WEIGHTS[codes], minlength=len(runs)).astype(float)


def _axes(
    runs: Runs, y: NDArray[np.float64], x: NDArray[np.float64], size: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of the ellipse with the same second moments: both axes, and the angle from y to the long one.

    Counted counter-clockwise from -90° to 90°, in radians, as skimage has it; NaN where neither is
    longer.
    """
    n = runs.lengths
    dy = np.repeat(y, runs.counts)
    dx = np.repeat(x, runs.counts)
    off_y = (runs.rows - dy) * size[0]
    middle = ((runs.starts + runs.stops - 1) / 2 - dx) * size[1]
    spread = n * (n.astype(float) ** 2 - 1) / 12 * size[1] ** 2  # of the pixels within a run
    total = runs.total(n)
    yy = runs.total(off_y**2 * n) / total
    xx = runs.total(middle**2 * n + spread) / total
    yx = runs.total(off_y * middle * n) / total
    mean, half = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
    major, minor = 4 * np.sqrt(mean + half), 4 * np.sqrt(np.maximum(mean - half, 0))
    angle = 0.5 * np.arctan2(2 * yx, yy - xx)
    return major, minor, np.where(half > 1e-9 * mean, angle, math.nan)
