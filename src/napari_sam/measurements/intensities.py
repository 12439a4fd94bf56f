"""How bright all objects of a frame or volume are, in one channel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine import Runs

from .options import Background
from .shapes import Columns


@np.errstate(over="ignore", invalid="ignore")  # of pixels that are infinite
def intensities(
    labels: NDArray[Any],
    runs: Runs,
    values: NDArray[Any],
    background: Background | None,
    ring: int,
    ending: str,
) -> Columns:
    """Mean, least, most, spread and sum of the pixels of each object.

    Parameters
    ----------
    labels, values
        Ids and one channel, ``(H, W)`` or ``(D, H, W)``.
    background
        What is taken off every pixel, if anything.
    ring
        How wide the ring around an object is that its own background is measured in, in pixels.
    ending
        Of the columns' names.
    """
    pixels = values.reshape(-1)[np.flatnonzero(labels)].astype(np.float64)
    # Pixels come row by row, runs object by object
    by_row = np.argsort(runs.order)
    lengths = runs.lengths[by_row]
    owner = np.repeat(np.arange(len(runs)), runs.counts)[by_row]
    begins = np.cumsum(lengths) - lengths

    def of_objects(reduce: np.ufunc, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        if not len(runs):
            return np.zeros(0)
        in_runs = reduce.reduceat(numbers, begins)[runs.order]
        return np.asarray(reduce.reduceat(in_runs, runs.first))

    n = runs.total(runs.lengths)
    total = of_objects(np.add, pixels)
    mean = total / n
    off = pixels - np.repeat(mean[owner], lengths)
    spread = np.sqrt(of_objects(np.add, off**2) / n)
    least, most = of_objects(np.minimum, pixels), of_objects(np.maximum, pixels)
    columns: Columns = {}
    if background is not None:
        around = (
            np.full(len(runs), frame_background(labels, values))
            if background == "frame"
            else local_background(labels, runs, values, ring)
        )
        mean, least, most, total = mean - around, least - around, most - around, total - n * around
        columns[f"background{ending}"] = around
    return {
        f"intensity_mean{ending}": mean,
        f"intensity_min{ending}": least,
        f"intensity_max{ending}": most,
        f"intensity_std{ending}": spread,
        f"intensity_sum{ending}": total,
        **columns,
    }


def frame_background(labels: NDArray[Any], values: NDArray[Any]) -> float:
    """The median of all pixels that are of no object."""
    outside = values[labels == 0]
    return float(np.median(outside)) if outside.size else math.nan


def local_background(
    labels: NDArray[Any], runs: Runs, values: NDArray[Any], ring: int
) -> NDArray[np.float64]:
    """The median of the ring around each object, one pixel away from it, without other objects.

    A pixel between several objects is of the nearest one.
    """
    distance, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    inside = (distance > 1) & (distance <= ring + 1)
    owners = labels[tuple(each[inside] for each in nearest)]
    pixels = values[inside].astype(np.float64)
    order = np.lexsort((pixels, owners))
    owners, pixels = owners[order], pixels[order]
    begins = np.searchsorted(owners, runs.ids)
    ends = np.searchsorted(owners, runs.ids, side="right")
    found = np.full(len(runs), math.nan)
    some = ends > begins
    low, high = (begins + ends - 1) // 2, (begins + ends) // 2
    found[some] = (pixels[low[some]] + pixels[high[some]]) / 2
    return found
