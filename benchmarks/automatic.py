"""Everything in a frame by a grid of clicks, against segment-anything 1.0's mask generator.

    python benchmarks/automatic.py [--points 32] [--threads 1 2] [--repeats N] [--variants fp32 …]

From the image of 768 x 1024 pixels to the masks, encoding included, on ViT-B with noise for
weights; each implementation in a process of its own, in turns. Masks of noise cover the frame,
which is the worst case for what is done mask by mask. A part of the candidates passes by the IoU
prediction, and none is held back by its stability or its box, so that all masks are compared.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.data import astronaut

from encoder import DTYPES, REFERENCE, VARIANTS, write_checkpoint
from measuring import elsewhere, markdown, peak_memory, save
from napari_sam.engine import (
    AutomaticOptions,
    FrameStack,
    GridRules,
    LoadedModel,
    Predictor,
    find_objects,
)
from napari_sam.engine.models.checkpoint import read_network
from napari_sam.model import VIT_B
from oracles import reference_masks, reference_sam

RULES = GridRules(pred_iou_thresh=0.2, stability_score_thresh=0.0, box_nms_thresh=1.0)


class Run(NamedTuple):
    """One frame in one process."""

    seconds: float
    busy: float  # seconds of all processors: what counts where others are at work
    peak: float  # resident memory, MB, loading included
    areas: NDArray[np.int64]  # of the masks, sorted


@torch.inference_mode()
def find(variant: str, rules: GridRules, threads: int, checkpoint: str) -> Run:
    """Find everything in this process."""
    torch.set_num_threads(threads)
    image = np.kron(astronaut()[:384], np.ones((2, 2, 1), np.uint8))
    if variant == REFERENCE:
        network = reference_sam(VIT_B)
        network.load_state_dict(torch.load(checkpoint))
        start, busy = time.perf_counter(), time.process_time()
        areas = [record["area"] for record in reference_masks(network, image, rules)]
    else:
        network = read_network(Path(checkpoint), DTYPES[variant])
        predictor = Predictor(LoadedModel(network, "noise", "0", torch.device("cpu"), variant))
        stack = FrameStack.from_array(image)
        options = AutomaticOptions(
            method="grid", overlap=1.0, grid=rules, kept_score=1.0, kept_stability=1.0
        )
        start, busy = time.perf_counter(), time.process_time()
        found = list(find_objects(predictor, stack, stack.index(), options))
        areas = [each.area for each in found if each.dropped is None]
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    return Run(seconds, busy, peak_memory(), np.sort(areas))


def table(points: int, threads: int, repeats: int, checkpoint: str, variants: Sequence[str]) -> str:
    """Medians of the repeats; ratios against the first variant."""
    given = ("--points", str(points), "--threads", str(threads), "--checkpoint", checkpoint)
    runs = [
        [Run(*elsewhere(__file__, "--variant", variant, *given)) for variant in variants]
        for _ in range(repeats)
    ]
    rows = []
    for column, variant in enumerate(variants):
        each = [run[column] for run in runs]
        areas, expected = each[0].areas, runs[0][0].areas
        same = len(areas) == len(expected)
        off = f"{np.abs(areas / expected - 1).max():.1%}" if same else "other masks"
        rows.append(
            (
                variant,
                f"{median(e.seconds for e in each):.1f} s",
                f"{median(run[0].seconds / run[column].seconds for run in runs):.1f}×",
                f"{median(run[0].busy / run[column].busy for run in runs):.1f}×",
                f"{median(e.peak for e in each) / 1000:.2f} GB",
                str(len(areas)),
                off,
            )
        )
    title = f"{points}² points, {threads} thread{'s' * (threads > 1)}"
    header = (title, "time", "faster", "less processor time", "peak memory", "masks")
    return markdown((*header, "areas differ by"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=32)
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--variants", choices=VARIANTS, nargs="+", default=VARIANTS)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", help=argparse.SUPPRESS)
    parser.add_argument("--save", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.save:
        rules = replace(RULES, points_per_side=given.points)
        save(given.save, tuple(find(given.variant, rules, given.threads[0], given.checkpoint)))
        return
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "weights.pth"
        write_checkpoint("vit_b", checkpoint)
        for threads in given.threads:
            text = table(given.points, threads, given.repeats, str(checkpoint), given.variants)
            sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
