"""Networks: tensors in, tensors out."""

from __future__ import annotations

from torch import Tensor

from .image_encoder import Progress, ViTConfig
from .pocket import POCKET, Pocket, PocketConfig
from .prompt_encoder import PromptTensors
from .sam import VIT_B, VIT_H, VIT_L, VIT_T, Network, NetworkConfig, Sam, SamConfig
from .tiny_vit import TinyViTConfig
from .upscaling import upscale_mask

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
    "Progress",
    "PromptTensors",
    "Sam",
    "SamConfig",
    "TinyViTConfig",
    "ViTConfig",
    "build_network",
    "prepare",
    "upscale_mask",
]


def build_network(config: SamConfig | PocketConfig) -> Network:
    """The network of a config, ready for inference, with random weights.

    Under `torch.device("meta")` it takes no memory; then load with `assign=True`.
    """
    network = Sam(config) if isinstance(config, SamConfig) else Pocket(config)
    return network.eval()


def prepare(network: Network, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Features for `decode` that hold whatever all prompts in an image share.

    Args:
        network: any network.
        features: what its `encode` returned.
    """
    return network.prepare(features) if isinstance(network, Sam) else features
