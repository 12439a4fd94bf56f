"""Image encoder against segment-anything 1.0: time, peak memory and error.

    python benchmarks/encoder.py [vit_b | vit_l | vit_h] [--variants …] [--threads 1 2]

Each implementation runs in a process of its own, in turns, so that all meet the machine in the same
state; the ratios are what counts. The weights are noise, in a checkpoint as the official ones are:
the peak is that of the whole program, loading included.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from measuring import elsewhere, markdown, peak_memory, save
from napari_sam.engine.models.checkpoint import read_network
from napari_sam.model import VIT_B, VIT_H, VIT_L
from oracles import fill_with_noise, reference_sam, relative_error

CONFIGS = {config.name: config for config in (VIT_B, VIT_L, VIT_H)}
REFERENCE = "segment-anything 1.0"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
VARIANTS = (REFERENCE, *DTYPES)


class Encoding(NamedTuple):
    """One encoding in one process."""

    embedding: Tensor
    load: float  # seconds
    seconds: float
    peak: float  # resident memory, MB


def write_checkpoint(model: str, path: Path) -> None:
    """Noise under the official keys."""
    network = reference_sam(CONFIGS[model])
    fill_with_noise(network, seed=0)
    torch.save(network.state_dict(), path)


@torch.inference_mode()
def encode(model: str, variant: str, threads: int, checkpoint: str) -> Encoding:
    """Load and encode in this process."""
    torch.set_num_threads(threads)
    start = time.perf_counter()
    if variant == REFERENCE:
        network = reference_sam(CONFIGS[model])
        network.load_state_dict(torch.load(checkpoint))
    else:
        network = read_network(Path(checkpoint), DTYPES[variant])
    load = time.perf_counter() - start
    generator = torch.Generator().manual_seed(1)
    image = network.preprocess(torch.rand(1, 3, 768, 1024, generator=generator) * 255)
    start = time.perf_counter()
    embedding = network.image_encoder(image) if variant == REFERENCE else network.encode(image)[0]
    return Encoding(embedding, load, time.perf_counter() - start, peak_memory())


def table(model: str, variants: Sequence[str], threads: int, repeats: int, checkpoint: str) -> str:
    """Medians of the repeats; ratios and errors against the first variant."""
    runs = [
        [
            Encoding(
                *elsewhere(
                    *(__file__, model, "--variants", variant, "--threads", str(threads)),
                    *("--checkpoint", checkpoint),
                )
            )
            for variant in variants
        ]
        for _ in range(repeats)
    ]
    rows = []
    for column, variant in enumerate(variants):
        each = [run[column] for run in runs]
        faster = median(run[0].seconds / run[column].seconds for run in runs)
        less = median(run[0].peak / run[column].peak for run in runs)
        error = relative_error(runs[0][column].embedding, runs[0][0].embedding)
        rows.append(
            (
                variant,
                *(
                    f"{median(e.load for e in each):.1f} s",
                    f"{median(e.seconds for e in each):.1f} s",
                ),
                *(f"{faster:.2f}×", f"{median(e.peak for e in each) / 1000:.2f} GB"),
                *(f"{less:.1f}×", f"{error:.1e}"),
            )
        )
    title = f"{model}, {threads} thread{'s' * (threads > 1)}"
    return markdown((title, "load", "encode", "faster", "peak memory", "less", "error"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=CONFIGS, nargs="?", default="vit_b")
    parser.add_argument("--variants", choices=VARIANTS, nargs="+", default=VARIANTS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--checkpoint", help=argparse.SUPPRESS)
    parser.add_argument("--save", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.save:
        (variant,), (threads,) = given.variants, given.threads
        save(given.save, tuple(encode(given.model, variant, threads, given.checkpoint)))
        return
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "weights.pth"
        write_checkpoint(given.model, checkpoint)
        for threads in given.threads:
            text = table(given.model, given.variants, threads, given.repeats, str(checkpoint))
            sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
