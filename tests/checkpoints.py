"""Small checkpoints with the official keys, and every wrapping that other tools put around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from napari_sam.model import SamConfig, ViTConfig, build_network

State = dict[str, Tensor]

SMALL = SamConfig(
    "vit",
    ViTConfig(width=32, depth=3, heads=2, global_blocks=(1,), window_size=4),
    input_size=128,
    embedding_dim=32,
)


def small_state(seed: int = 0) -> State:
    """Weights of a small Segment Anything network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(SMALL).state_dict()


def prefixed(state: State, prefix: str) -> State:
    """Every key with a prefix."""
    return {prefix + key: value for key, value in state.items()}


@dataclass(frozen=True)
class Wrapping:
    """How a tool saves a state dict."""

    name: str
    wrap: Callable[[State], Any] = lambda state: state
    file_name: str = "weights.pth"

    def save(self, state: State, folder: Path) -> Path:
        """The wrapped state dict as a file."""
        path = folder / self.file_name
        if path.suffix == ".safetensors":
            safetensors.torch.save_file(self.wrap(state), path)
        else:
            torch.save(self.wrap(state), path)
        return path


WRAPPINGS = [
    Wrapping("official"),
    Wrapping("no suffix, as in micro-sam's cache", file_name="vit_b_lm"),
    Wrapping("safetensors", file_name="weights.safetensors"),
    Wrapping(
        "trained by micro-sam",
        lambda state: {
            "model_state": prefixed(state, "sam."),
            "optimizer_state": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{}]},
            "epoch": 7,
        },
        "best.pt",
    ),
    Wrapping("model", lambda state: {"model": state, "iteration": 3}),
    Wrapping("state_dict", lambda state: {"state_dict": state}),
    Wrapping("several GPUs", lambda state: prefixed(state, "module.")),
    Wrapping("lightning", lambda state: {"state_dict": prefixed(state, "model.")}),
    Wrapping("prefix in prefix", lambda state: {"model": prefixed(state, "module.sam.")}),
    Wrapping("with its constants", lambda state: {**state, "pixel_mean": torch.zeros(3, 1, 1)}),
    Wrapping("half precision", lambda state: {key: value.half() for key, value in state.items()}),
    Wrapping("float64", lambda state: {key: value.double() for key, value in state.items()}),
]
