"""From a frame of 8192 x 8192 pixels, 16 bit, to the network's input: time and memory.

    python benchmarks/frames.py [--repeats N]

Against what one writes at first, and what segment-anything's users write: limits and stretch over
every pixel, three channels, its own resize.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from measuring import elsewhere, markdown, peak_memory, reset_peak_memory, save, seconds
from napari_sam.engine import FrameStack
from napari_sam.engine.contrast import resize_longest_side

SIDE, INPUT = 8192, 1024


def naive(pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Every pixel to 8 bit, then smaller."""
    low, high = np.percentile(pixels, (0.1, 99.9))
    grey = (np.clip((pixels - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    rgb = Image.fromarray(np.repeat(grey[..., None], 3, axis=-1))
    return np.array(rgb.resize((INPUT, INPUT), Image.Resampling.BILINEAR))


def ours(pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """As `EmbeddingCache.embed` and `Predictor.encode` do."""
    stack = FrameStack.from_array(pixels, rgb=False)
    return resize_longest_side(stack.frame(stack.index()), INPUT)


VARIANTS: dict[str, Callable[[NDArray[np.uint16]], NDArray[np.uint8]]] = {
    "naive": naive,
    "FrameStack": ours,
}


def measure(variant: str, repeats: int) -> tuple[float, float]:
    """Seconds and MB of one frame."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 4000, (SIDE, SIDE), np.uint16)
    reset_peak_memory()
    before = peak_memory()
    time = seconds(lambda: VARIANTS[variant](pixels), repeats)
    return time, peak_memory() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--save", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.save:
        save(given.save, measure(given.variant, given.repeats))
        return
    figures: dict[str, Any] = {
        name: elsewhere(__file__, "--variant", name, "--repeats", str(given.repeats))
        for name in VARIANTS
    }
    rows = [
        (
            name,
            f"{1000 * time:.0f} ms",
            f"{figures['naive'][0] / time:.0f}×",
            f"{memory:.0f} MB",
        )
        for name, (time, memory) in figures.items()
    ]
    header = (f"{SIDE}² uint16 to the input of {INPUT}²", "time", "faster", "memory")
    sys.stdout.write(markdown(header, rows))


if __name__ == "__main__":
    main()
