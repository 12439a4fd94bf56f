"""A picture of three bright cells for pages in browsers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

SHAPE = (64, 256)  # a quarter of the input: encoded in a quarter of the time
CELLS = ((32, 40), (30, 110), (34, 190))
RADIUS = 14


def write_cells(folder: Path) -> Path:
    """Three bright cells on a dark ground, 16 bit."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    pixels = np.random.default_rng(0).normal(400, 30, SHAPE)
    for cy, cx in CELLS:
        pixels += 3000 * (np.hypot(y - cy, x - cx) < RADIUS)
    path = folder / "cells.tif"
    tifffile.imwrite(path, np.clip(pixels, 0, 65535).astype(np.uint16))
    return path
