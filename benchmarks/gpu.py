"""Encoding and clicking on a GPU against segment-anything 1.0: time, memory and error.

    python benchmarks/gpu.py [vit_b vit_h] [--device cuda]

Each implementation runs in a process of its own. The weights are noise, the work is that of the
real ones; what is compiled or tried out for the first images is done before the clock starts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from measuring import elsewhere, markdown, save, seconds
from napari_sam.engine import LoadedModel, Predictor, Prompts
from napari_sam.model import VIT_B, VIT_H, build_network, compile_blocks
from oracles import fill_with_noise, import_oracle, reference_sam, relative_error

CONFIGS = {config.name: config for config in (VIT_B, VIT_H)}
REFERENCE = "segment-anything 1.0"
VARIANTS = (REFERENCE, "fp32", "bf16", "bf16, compiled")
WARM_UP = 3  # images
REPEATS = 9


class Figures(NamedTuple):
    """What one implementation needs on the device."""

    encode: float  # seconds
    click: float
    memory: float  # highest, MB
    embedding: torch.Tensor
    ways: str  # of attending that were the fastest


def reference(model: str, device: torch.device) -> tuple[Callable[[], object], ...]:
    """Encode and click as segment-anything does, and the embedding."""
    network = reference_sam(CONFIGS[model])
    fill_with_noise(network, seed=0)
    predictor = import_oracle("segment_anything.predictor").SamPredictor(network.to(device))
    point, positive = np.array([[300, 400]]), np.array([1])
    return (
        lambda: predictor.set_image(picture()),
        lambda: predictor.predict(point, positive),
        lambda: predictor.features,
        lambda: "",
    )


def ours(model: str, variant: str, device: torch.device) -> tuple[Callable[[], object], ...]:
    """Encode and click with this package, the embedding, and how its blocks attend."""
    network = build_network(CONFIGS[model])
    fill_with_noise(network, seed=0)
    precision = "fp32" if variant == "fp32" else "bf16"
    if precision == "bf16":
        network.image_encoder.to(torch.bfloat16)
    network.to(device)
    if variant.endswith("compiled"):
        compile_blocks(network.image_encoder)
    predictor = Predictor(LoadedModel(network, "benchmark", "0", device, precision))
    embeddings = [predictor.encode(picture())]
    blocks = network.image_encoder.blocks
    return (
        lambda: embeddings.__setitem__(0, predictor.encode(picture())),
        lambda: predictor.predict(embeddings[0], Prompts.from_points([(400, 300)])).mask(),
        lambda: embeddings[0].features,
        lambda: ", ".join(sorted({block.attn.attend.__name__ for block in blocks})),
    )


def picture() -> np.ndarray:
    """A frame of 1024 x 1024, always the same."""
    return np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), np.uint8)


@torch.inference_mode()
def measure(model: str, variant: str, device: torch.device) -> Figures:
    """The figures of one implementation in this process."""
    make = reference(model, device) if variant == REFERENCE else ours(model, variant, device)
    encode, click, embedding, ways = make
    module = torch.get_device_module(device)

    def waited_for(action: Callable[[], object]) -> Callable[[], None]:
        def act() -> None:
            action()
            module.synchronize()

        return act

    for _ in range(WARM_UP):
        encode()
    encode_s, click_s = (seconds(waited_for(action), REPEATS) for action in (encode, click))
    memory = module.max_memory_allocated() / 1e6 if device.type == "cuda" else float("nan")
    features = embedding()
    assert isinstance(features, torch.Tensor)
    return Figures(encode_s, click_s, memory, features.float().cpu(), str(ways()))


def table(model: str, device: str) -> str:
    """Each implementation, compared with the reference."""
    runs = [
        Figures(*elsewhere(__file__, model, "--variant", v, "--device", device)) for v in VARIANTS
    ]
    rows = [
        (
            variant,
            f"{1000 * each.encode:.0f} ms, {runs[0].encode / each.encode:.1f}×",
            f"{1000 * each.click:.1f} ms, {runs[0].click / each.click:.1f}×",
            f"{each.memory / 1000:.2f} GB",
            f"{relative_error(each.embedding, runs[0].embedding):.1e}",
            each.ways,
        )
        for variant, each in zip(VARIANTS, runs, strict=True)
    ]
    name = torch.cuda.get_device_name() if device == "cuda" else device
    header = (f"{model}, {name}", "encode", "click", "peak memory", "error", "attention")
    return markdown(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", choices=CONFIGS, nargs="*", default=list(CONFIGS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--save", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.save:
        save(given.save, tuple(measure(given.models[0], given.variant, torch.device(given.device))))
        return
    for model in given.models:
        sys.stdout.write(table(model, given.device) + "\n")


if __name__ == "__main__":
    main()
