"""The embedded model: encoding 512 x 512, a click, 64 boxes, previews while the pointer moves.

    python benchmarks/embedded.py [--threads 1 2]

What `napari-sam bench` measures, on as many threads as asked for. Prompts are decoded on one.
"""

from __future__ import annotations

import argparse
import sys

import torch

from measuring import elsewhere, markdown, save
from napari_sam.bench import Figures, measure

PRECISIONS = ("fp32", "bf16")


def cells(figures: Figures) -> tuple[str, ...]:
    """One run as words."""
    return (
        f"{figures.precision}, {figures.threads} thread{'s' * (figures.threads > 1)}",
        f"{figures.load_seconds:.2f} s",
        f"{1000 * figures.encode_seconds:.0f} ms",
        f"{figures.click_milliseconds:.0f} ms",
        f"{figures.boxes_milliseconds / 64:.1f} ms",
        f"{figures.previews_per_second:.0f} a second",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--precision", choices=PRECISIONS, help=argparse.SUPPRESS)
    parser.add_argument("--save", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.save:
        torch.set_num_threads(given.threads[0])
        save(given.save, measure("pocket", device="cpu", precision=given.precision))
        return
    runs = [
        elsewhere(__file__, "--threads", str(threads), "--precision", precision)
        for threads in given.threads
        for precision in PRECISIONS
    ]
    header = ("pocket", "load", "encode 512²", "click", "a box of 64", "previews")
    sys.stdout.write(markdown(header, [cells(figures) for figures in runs]))


if __name__ == "__main__":
    main()
