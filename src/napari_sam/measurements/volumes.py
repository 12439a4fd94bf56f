"""Objects of volumes: volume, surface, axes, place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes, mesh_surface_area

from napari_sam.engine import Runs
from napari_sam.engine.masks import windows_of

from .shapes import Columns, boxes, centroids, places
from .units import Units


def volumes(labels: NDArray[Any], runs: Runs, units: Units) -> Columns:
    """Volume, surface, diameter, sphericity, axes and place: a column each, a row an object.

    Parameters
    ----------
    labels
        Ids of one volume ``(D, H, W)``.
    runs
        The same as runs.
    units
        Of its three axes.
    """
    volume = runs.total(runs.lengths) * math.prod(units.size)
    surface = surfaces(labels, runs.ids, units)
    height = runs.shape[-2]
    y_all, x = runs.rows % height, (runs.starts + runs.stops - 1) / 2
    z_all = runs.rows // height
    n = runs.total(runs.lengths)
    z, y = (runs.total(each * runs.lengths) / n for each in (z_all, y_all))
    _, x_mean = centroids(runs)
    centre = (z, y, x_mean)
    axes = _axes(runs, (z_all, y_all, x), centre, units)
    length = units.length
    with np.errstate(divide="ignore", invalid="ignore"):
        sphericity = math.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / surface
    z0, z1 = runs.lowest(z_all), runs.highest(z_all) + 1
    box = boxes(runs)
    box["at_border"] = box["at_border"] | (z0 == 0) | (z1 == runs.shape[0])
    return {
        f"volume_{units.volume}": volume,
        f"diameter_{length}": np.cbrt(6 * volume / math.pi),
        f"surface_{units.area}": surface,
        "sphericity": np.minimum(sphericity, 1),
        f"axis_major_{length}": axes[:, 2],
        f"axis_middle_{length}": axes[:, 1],
        f"axis_minor_{length}": axes[:, 0],
        **places(centre, units),
        "box_z0": z0,
        "box_z1": z1,
        **box,
    }


def surfaces(labels: NDArray[Any], ids: NDArray[np.int64], units: Units) -> NDArray[np.float64]:
    """The area of the mesh that marching cubes lays around each object."""
    found = np.zeros(len(ids))
    windows = windows_of(labels)
    for n, object_id in enumerate(ids.tolist()):
        solid = np.pad(labels[windows[object_id]] == object_id, 1)
        vertices, faces, *_ = marching_cubes(solid, 0.5, spacing=units.size)
        found[n] = mesh_surface_area(vertices, faces)
    return found


def _axes(
    runs: Runs,
    at: tuple[NDArray[Any], ...],
    centre: tuple[NDArray[np.float64], ...],
    units: Units,
) -> NDArray[np.float64]:
    """Of the ellipsoid with the same second moments: its three axes ``(K, 3)``, rising."""
    n, total = runs.lengths, runs.total(runs.lengths)
    off = [
        (each - np.repeat(mean, runs.counts)) * size
        for each, mean, size in zip(at, centre, units.size, strict=True)
    ]
    spread = n * (n.astype(float) ** 2 - 1) / 12 * units.size[2] ** 2  # within a run
    moments = np.zeros((len(runs), 3, 3))
    for i in range(3):
        for j in range(3):
            moments[:, i, j] = runs.total(off[i] * off[j] * n) / total
    moments[:, 2, 2] += runs.total(spread) / total
    # Of a solid ellipsoid the half axis is the root of five times the moment
    return np.asarray(2 * np.sqrt(5 * np.maximum(np.linalg.eigvalsh(moments), 0)))
