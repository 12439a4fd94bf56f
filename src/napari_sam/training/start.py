"""The model that a training run begins from, and the config that suits it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from napari_sam.engine import LoadedModel, choose_device, load_model
from napari_sam.model import POCKET, Network, Pocket, Sam, build_network

from .options import TrainingConfig

SCRATCH = "scratch"

FROM_SCRATCH = TrainingConfig()
FINE_TUNING = replace(
    FROM_SCRATCH,
    rate=3e-4,
    warm_up=50,
    dense_share=0.0,
    ema=0.995,
    synthetic_share=0.15,
    synthetic_images=60,
)
MAPS_ONLY = replace(
    FINE_TUNING, rate=3e-3, crops=8, objects=1, synthetic_share=0.25, maps_only=True
)
DECODER_ONLY = replace(
    FINE_TUNING,
    rate=1e-4,
    warm_up=20,
    ema=0.98,
    crops=2,
    synthetic_share=0.0,
    synthetic_images=0,
)


def begin_from(
    name_or_path: str | Path, *, device: str = "auto", seed: int = 0, maps: bool = False
) -> LoadedModel:
    """The model a run begins from, in single precision.

    Parameters
    ----------
    name_or_path
        ``scratch``: the embedded network with random weights; or a model's name or file.
    seed
        Of the random weights.
    maps
        Give an embedded network of an earlier version the head that it lacks, with random weights.

    Raises
    ------
    ModelError
        If there is no such model or device.
    """
    if str(name_or_path) != SCRATCH:
        start = load_model(name_or_path, device=device, precision="fp32")
        network = start.network
        if not maps or not isinstance(network, Pocket) or network.maps is not None:
            return start
        whole = _random_pocket(seed)
        whole.load_state_dict(network.state_dict(), strict=False)
        return replace(start, network=whole.to(start.device))
    placed = choose_device(device)
    return LoadedModel(_random_pocket(seed).to(placed), SCRATCH, SCRATCH, placed, "fp32")


def _random_pocket(seed: int) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(POCKET).requires_grad_(False)


def config_for(start: LoadedModel, *, maps_only: bool = False) -> TrainingConfig:
    """The config that suits a start: a small network learns as a whole, of a Sam the decoder."""
    if isinstance(start.network, Sam):
        return DECODER_ONLY
    if maps_only:
        return MAPS_ONLY
    return FROM_SCRATCH if start.name == SCRATCH else FINE_TUNING
