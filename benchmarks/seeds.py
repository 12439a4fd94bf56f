"""Every cell of a frame by seeds: 512 x 512 pixels with few and many cells, encoding included.

python benchmarks/seeds.py [--threads 1 2]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from measuring import elsewhere, markdown, save, seconds
from napari_sam.engine import FoundObject, FrameStack, Predictor, find_objects, load_model

SIDE = 512
PER_SIDE = (3, 6, 10)  # cells along each side
REPEATS = 5


@dataclass(frozen=True)
class Figures:
    """One run on one frame."""

    n_cells: int
    n_found: int
    encode_seconds: float
    seconds: float  # encoding included


def picture(per_side: int) -> NDArray[np.uint8]:
    """Discs of unlike sizes on a grid, noisy."""
    rng = np.random.default_rng(0)
    ys, xs = np.mgrid[:SIDE, :SIDE]
    image = rng.normal(40, 6, (SIDE, SIDE))
    pitch = SIDE / per_side
    for n in range(per_side**2):
        y, x = (np.array(divmod(n, per_side)) + 0.5) * pitch + rng.uniform(-3, 3, 2)
        radius = rng.uniform(0.25, 0.4) * min(pitch, 80)
        image[(ys - y) ** 2 + (xs - x) ** 2 < radius**2] += rng.uniform(60, 140)
    return np.clip(image, 0, 255).astype(np.uint8)


def measure(precision: str) -> list[Figures]:
    predictor = Predictor(load_model("pocket", device="cpu", precision=precision))
    figures = []
    for per_side in PER_SIDE:
        stack = FrameStack.from_array(picture(per_side))
        found: list[FoundObject] = []

        def find(stack: FrameStack = stack, found: list[FoundObject] = found) -> None:
            found[:] = find_objects(predictor, stack, stack.index())

        def encode(stack: FrameStack = stack) -> None:
            predictor.encode(stack.frame(stack.index()))

        whole, alone = seconds(find, REPEATS), seconds(encode, REPEATS)
        standing = sum(each.dropped is None for each in found)
        figures.append(Figures(per_side**2, standing, alone, whole))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--precision", choices=("fp32", "bf16"), help=argparse.SUPPRESS)
    parser.add_argument("--save", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.save:
        torch.set_num_threads(given.threads[0])
        save(given.save, measure(given.precision))
        return
    rows = []
    for threads in given.threads:
        for precision in ("fp32", "bf16"):
            for each in elsewhere(__file__, "--threads", str(threads), "--precision", precision):
                where = f"{precision}, {threads} thread{'s' * (threads > 1)}"
                times = (f"{each.encode_seconds:.2f} s", f"**{each.seconds:.2f} s**")
                rows.append((where, str(each.n_cells), str(each.n_found), *times))
    header = ("seeds, 512²", "cells", "found", "of this encoding", "in all")
    sys.stdout.write(markdown(header, rows))


if __name__ == "__main__":
    main()
