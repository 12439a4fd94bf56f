"""Networks: tensors in, tensors out."""

from __future__ import annotations

import torch
from torch import Tensor

from .compiling import compile_blocks
from .fitness import fitness
from .image_encoder import Progress, ViTConfig
from .pocket import (
    POCKET,
    Pocket,
    PocketConfig,
    PocketFeatures,
    View,
    click_kernel,
    stack_windows,
)
from .prompt_encoder import PromptTensors
from .sam import VIT_B, VIT_H, VIT_L, VIT_T, Network, NetworkConfig, Sam, SamConfig
from .tiny_vit import TinyViTConfig
from .uninitialised import Uninitialised
from .upscaling import Upscaling, upscale_mask

__all__ = [
    "POCKET",
    "VIT_B",
    "VIT_H",
    "VIT_L",
    "VIT_T",
    "Network",
    "NetworkConfig",
    "Pocket",
    "PocketConfig",
    "PocketFeatures",
    "Progress",
    "PromptTensors",
    "Sam",
    "SamConfig",
    "TinyViTConfig",
    "Upscaling",
    "ViTConfig",
    "View",
    "build_network",
    "click_kernel",
    "compile_blocks",
    "empty_network",
    "fitness",
    "prepare",
    "stack_windows",
    "upscale_mask",
]


def build_network(config: SamConfig | PocketConfig) -> Network:
    """The network of a config, ready for inference, with random weights."""
    network = Sam(config) if isinstance(config, SamConfig) else Pocket(config)
    return network.eval()


def empty_network(config: SamConfig | PocketConfig) -> Network:
    """The network of a config without weights or memory for them: load with `assign=True`."""
    with torch.device("meta"), Uninitialised():
        return build_network(config)


def prepare(network: Network, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Features for `decode`, with the computation that all prompts in an image share.

    Args:
        network: any network.
        features: what its `encode` returned.
    """
    return network.prepare(features) if isinstance(network, Sam) else features
