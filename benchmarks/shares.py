"""Where the time of ViT-B's encoder goes, and what its products alone would take.

    python benchmarks/shares.py

Operators by their own time, from PyTorch's profiler; the floor is the time of all products of
matrices at the rate of a single large one in the same process.
"""

from __future__ import annotations

import sys
from collections import Counter

import torch
from torch.profiler import ProfilerActivity, profile

from measuring import markdown, seconds
from napari_sam.model import VIT_B, build_network
from napari_sam.model.layers import packed
from oracles import fill_with_noise

GFLOP = 941  # of the products: linear layers 696, whole-map attention 206, windows 24, others 15
GROUPS = {
    "linear layers": ("mkldnn::_linear_pointwise", "aten::addmm", "aten::mkldnn_convolution"),
    "their weights put in order": ("mkldnn::_reorder_linear_weight",),
    "products of attention": ("aten::mm", "aten::addmm_", "aten::bmm"),
    "attention in windows, as one": ("aten::_scaled_dot_product_flash_attention_for_cpu",),
    "softmax": ("aten::_softmax",),
    "biases and other sums": ("aten::add",),
    "copies": ("aten::copy_", "aten::cat"),
}
REST = "all else"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@torch.inference_mode()
def shares(precision: str) -> tuple[float, Counter[str], float]:
    """Seconds of an encoding, its seconds by group of operators, and the floor in seconds."""
    dtype = DTYPES[precision]
    network = build_network(VIT_B)
    fill_with_noise(network, seed=0)
    encoder = network.image_encoder.to(dtype)
    image = torch.randn(1, 3, 1024, 1024, dtype=dtype)
    encoder(image)
    with profile(activities=[ProfilerActivity.CPU]) as run:
        encoder(image)
    names = {name: group for group, named in GROUPS.items() for name in named}
    spent: Counter[str] = Counter()
    for event in run.key_averages():
        spent[names.get(event.key, REST)] += event.self_cpu_time_total / 1e6
    return sum(spent.values()), spent, GFLOP / rate(dtype)


def rate(dtype: torch.dtype) -> float:
    """GFLOP/s of a large product in the form the linear layers have."""
    layer = torch.nn.Linear(768, 3072).to(dtype)
    x = torch.randn(4096, 768, dtype=dtype)
    product = packed(layer, x)
    return 2e-9 * x.numel() * layer.out_features / seconds(lambda: product(x), 9)


def main() -> None:
    torch.set_num_threads(1)
    columns = [shares(precision) for precision in DTYPES]
    rows = [
        (
            group,
            *(f"{spent[group]:.2f} s, {spent[group] / whole:.0%}" for whole, spent, _ in columns),
        )
        for group in (*GROUPS, REST)
    ]
    rows.append(("**all**", *(f"**{whole:.1f} s**" for whole, *_ in columns)))
    rows.append(
        ("all products at the rate of a bare one", *(f"{floor:.1f} s" for *_, floor in columns))
    )
    sys.stdout.write(markdown(("vit_b, 1 thread", *DTYPES), rows))


if __name__ == "__main__":
    main()
