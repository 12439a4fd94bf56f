"""Seconds to measure 10,000 objects of a frame of 4096 x 4096, beside scikit-image.

    python benchmarks/measure.py [--repeats N]

Discs of 30 pixels and one channel of 16 bit. scikit-image measures the same columns where it has
them (`regionprops_table`), on 500 of the objects, since its time is proportional to their number.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from skimage.measure import regionprops_table

from measuring import markdown, seconds
from napari_sam.measurements import MeasureOptions, measure

SIDE, STEP, N_OBJECTS, N_BESIDE = 4096, 40, 10_000, 500
SHAPES = (
    *("area", "perimeter", "solidity", "eccentricity", "orientation", "axis_major_length"),
    *("axis_minor_length", "feret_diameter_max", "centroid", "bbox"),
)
INTENSITIES = tuple(f"intensity_{name}" for name in ("mean", "min", "max", "std"))


def many_discs() -> np.ndarray:
    """Labels of a frame."""
    disc = np.hypot(*np.ogrid[-20:20, -20:20]) < 15
    labels = np.zeros((SIDE, SIDE), np.uint16)
    a_row = SIDE // STEP
    for n in range(N_OBJECTS):
        top, left = STEP * (n // a_row), STEP * (n % a_row)
        labels[top : top + STEP, left : left + STEP] = disc * (n + 1)
    return labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    labels = many_discs()
    image = np.random.default_rng(0).integers(0, 2**16, labels.shape, np.uint16)
    few = np.where(labels <= N_BESIDE, labels, 0)[: STEP * 6]
    times = (
        seconds(lambda: measure(labels), repeats),
        seconds(lambda: measure(labels, image), repeats),
        seconds(lambda: measure(labels, image, MeasureOptions(background="ring")), repeats),
    )
    factor = N_OBJECTS / N_BESIDE
    shapes = factor * seconds(lambda: regionprops_table(few, properties=SHAPES), 1)
    both = (*SHAPES, *INTENSITIES)
    bright = factor * seconds(lambda: regionprops_table(few, image[: STEP * 6], properties=both), 1)
    rows = [
        ("this program", *(f"{each:.2f} s" for each in times)),
        ("regionprops_table, from 500 objects", f"{shapes:.0f} s", f"{bright:.0f} s", ""),
    ]
    header = ("10,000 objects of 4096²", "shapes", "and intensities", "and a ring around each")
    sys.stdout.write(markdown(header, rows) + "\n")


if __name__ == "__main__":
    main()
