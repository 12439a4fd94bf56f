"""The training task of the embedded network: click kernels first, prompts and corrections
afterwards.

An object is prompted by a click, a box or a rough mask, and then corrected by clicks where the
prediction was most wrong, each round seeded with the logits of the one before (Sofiiuk et al. 2021,
"Reviving iterative training with mask guidance"; Kirillov et al. 2023, "Segment Anything").
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from napari_sam.model import Pocket, PocketFeatures, PromptTensors, click_kernel, stack_windows
from napari_sam.training.losses import decoder_loss, mask_loss
from napari_sam.training.options import TrainingConfig
from napari_sam.training.prompting import corrected, first_prompts, placed

from .batch import Batch, draw_batch
from .crops import SourcePool
from .maps_task import encoded, maps_loss, rounded


class PocketTask:
    """All of a pocket network is trained, on crops of annotated and of synthetic images."""

    def __init__(self, network: Pocket, pool: SourcePool, config: TrainingConfig) -> None:
        self.network, self.pool, self.config = network, pool, config

    @property
    def trained(self) -> nn.Module:
        """The whole network."""
        return self.network

    def loss(self, rng: np.random.Generator, n_rounds: int, done: float) -> Tensor:
        """Of the prompts, once the dense part of the run is behind, of click kernels and maps."""
        network, config = self.network, self.config
        batch = draw_batch(config, network.config, self.pool, rng)
        features = encoded(network, batch)
        loss = 0.5 * kernel_loss(features, batch.labels, config.clicks, rng)
        if network.maps is not None:
            loss = loss + maps_loss(network.maps(features), batch)
        if done >= config.dense_share:
            loss = loss + prompted_loss(network, features, batch, n_rounds, rng)
        return loss

    def averaged_network(self, average: nn.Module) -> Pocket:
        """The averaged network, rounded to half precision as the file will be."""
        return rounded(self.network, average)


def kernel_loss(
    features: PocketFeatures, labels: Tensor, n_clicks: int, rng: np.random.Generator
) -> Tensor:
    """Mask loss of the click kernels of random pixels of random objects in labels (N, S, S)."""
    device = features.kernel.device
    coarse = labels[:, 2::4, 2::4]
    points = []
    for crop in coarse.numpy():
        ids = np.unique(crop[crop > 0])
        if len(ids) == 0:
            ids = np.unique(crop)
        pixels = [np.argwhere(crop == id_) for id_ in rng.choice(ids, n_clicks)]
        points.append([where[rng.integers(len(where))] for where in pixels])
    where = torch.from_numpy(np.array(points))  # (N, n, 2) y, x
    clicked = coarse[torch.arange(len(coarse))[:, None], where[..., 0], where[..., 1]]
    target = torch.eq(coarse[:, None], clicked[..., None, None]).float().to(device)
    with torch.autocast(device.type, enabled=False):
        places = (where.flip(-1).float() + 0.5) * 4
        logits = click_kernel(features.kernel, places.to(device))
        return mask_loss(logits, target).mean()


def prompted_loss(
    network: Pocket,
    features: PocketFeatures,
    batch: Batch,
    n_rounds: int,
    rng: np.random.Generator,
) -> Tensor:
    """Loss over rounds: a first prompt for every object, then corrective clicks."""
    device = features.kernel.device
    size = 2 * batch.masks.shape[-1]
    crops, windows = batch.crop.tolist(), batch.windows.tolist()
    per_object = stack_windows(features, crops, windows, (size, size))
    masks, beyond = batch.masks.to(device), batch.beyond.to(device)
    truths = batch.masks.numpy() > 0.5
    prompts = first_prompts(truths, rng)

    def answer(prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = network.decoder(per_object, placed(prompts, device))
        return found

    rounds = corrected(answer, prompts, truths, n_rounds, rng)
    return torch.stack([decoder_loss(*found, masks, beyond) for found in rounds]).mean()
