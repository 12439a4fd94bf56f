"""Image encoder against segment-anything 1.0: time, peak memory and error, one thread each.

    python benchmarks/encoder.py [vit_b | vit_l | vit_h] [--repeats N]

Each implementation runs in a process of its own, in turns, so that both meet the machine in the
same state; the ratios are what counts.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from napari_sam.model import VIT_B, VIT_H, VIT_L, Sam
from oracles import fill_with_noise, reference_sam, relative_error

CONFIGS = {config.name: config for config in (VIT_B, VIT_L, VIT_H)}
VARIANTS = ("segment-anything 1.0", "fp32", "bf16")


def encode(model: str, variant: str) -> tuple[Tensor, float, float]:
    """Embedding, seconds and peak resident memory in GB of one encoding in this process."""
    torch.set_num_threads(1)
    config = CONFIGS[model]
    network = reference_sam(config) if variant == VARIANTS[0] else Sam(config).eval()
    fill_with_noise(network, seed=0)
    if variant == "bf16":
        network.image_encoder.to(torch.bfloat16)
    generator = torch.Generator().manual_seed(1)
    image = network.preprocess(torch.rand(1, 3, 768, 1024, generator=generator) * 255)
    with torch.inference_mode():
        start = time.perf_counter()
        embedding = (
            network.image_encoder(image) if variant == VARIANTS[0] else network.encode(image)[0]
        )
        seconds = time.perf_counter() - start
    return embedding, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def encode_elsewhere(model: str, variant: str, folder: str) -> tuple[Tensor, float, float]:
    """As `encode`, in a process of its own."""
    path = Path(folder) / "result.pt"
    command = [sys.executable, __file__, model, "--variant", variant, "--save", str(path)]
    subprocess.run(command, check=True)
    embedding, seconds, peak = torch.load(path)
    return embedding, seconds, peak


def table(model: str, repeats: int) -> str:
    """The Markdown table: medians of the repeats, errors and ratios against the reference."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            [encode_elsewhere(model, variant, folder) for variant in VARIANTS]
            for _ in range(repeats)
        ]
    lines = [
        f"| {model} | seconds | faster | peak GB | less | error |",
        "|---|---|---|---|---|---|",
    ]
    expected = runs[0][0][0]
    for column, variant in enumerate(VARIANTS):
        seconds = median(run[column][1] for run in runs)
        faster = median(run[0][1] / run[column][1] for run in runs)
        peak = median(run[column][2] for run in runs)
        less = runs[0][0][2] / peak
        error = relative_error(runs[0][column][0], expected)
        cells = [f"{seconds:.1f}", f"{faster:.2f}×", f"{peak:.2f}", f"{less:.1f}×", f"{error:.1e}"]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=CONFIGS, nargs="?", default="vit_b")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--save", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.save:
        torch.save(encode(arguments.model, arguments.variant), arguments.save)
    else:
        sys.stdout.write(table(arguments.model, arguments.repeats))


if __name__ == "__main__":
    main()
