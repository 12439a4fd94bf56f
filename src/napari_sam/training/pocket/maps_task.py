"""The training task of the maps of objects: objects, their outlines, the depth inside."""

from __future__ import annotations

import copy

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.engine import ModelError
from napari_sam.model import Pocket, PocketFeatures
from napari_sam.training.options import TrainingConfig

from .batch import Batch, draw_batch
from .crops import SourcePool
from .synthetic.signals import outline_distance


class MapsTask:
    """Only the maps are trained: every mask stays as it is, for a quarter of the time."""

    def __init__(self, network: Pocket, pool: SourcePool, config: TrainingConfig) -> None:
        self.network, self.pool, self.config = network, pool, config
        if network.maps is None:
            raise ModelError("This network maps no objects. Begin from one that does.")
        self.maps = network.maps

    @property
    def trained(self) -> nn.Module:
        """The head alone, its parameters named as in the whole network."""
        return nn.ModuleDict({"maps": self.maps})

    def loss(self, rng: np.random.Generator, n_rounds: int, done: float) -> Tensor:
        """Of the maps, on features that do not change."""
        batch = draw_batch(self.config, self.network.config, self.pool, rng)
        with torch.no_grad():
            features = encoded(self.network, batch)
        return maps_loss(self.maps(features), batch)

    def averaged_network(self, average: nn.Module) -> Pocket:
        """The network with the averaged head, rounded to half precision as the file will be."""
        return rounded(self.network, average)


def encoded(network: Pocket, batch: Batch) -> PocketFeatures:
    """The features of a batch's crops."""
    device = next(network.parameters()).device
    images = batch.images.to(device, memory_format=torch.channels_last)
    features: PocketFeatures = network.encoder(network.normalise(images))
    return features


def rounded(network: Pocket, part: nn.Module) -> Pocket:
    """A copy of a network with the weights of a part of it, or all, in half precision."""
    copied = copy.deepcopy(network).requires_grad_(False).eval()
    weights = {**network.state_dict(), **part.state_dict()}
    copied.load_state_dict({name: tensor.half().float() for name, tensor in weights.items()})
    return copied


def maps_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of the maps (N, 3, h, w) with what the labels say at their stride."""
    device = logits.device
    targets, weights = map_targets(batch.labels, batch.complete)
    with torch.autocast(device.type, enabled=False):
        entropy = F.binary_cross_entropy_with_logits(
            logits.float(), targets.to(device), reduction="none"
        )
        per_crop = entropy.mean((2, 3), keepdim=True).sum(1, keepdim=True)
        return (per_crop * weights.to(device)).sum() / weights.sum().clamp(min=1)


def map_targets(labels: Tensor, complete: Tensor) -> tuple[Tensor, Tensor]:
    """The target maps of labels (N, S, S).

    Returns:
        targets (N, 3, S / 4, S / 4): the share of each pixel that objects cover; the share within
        2 pixels of an outline; and the depth in the object, 1 where it is greatest. Weights
        (N, 1, 1, 1): 0 where unlabelled pixels may be an object's. Its objects alone would teach
        that all is object.
    """
    targets = []
    for crop in labels[:, ::2, ::2].numpy():
        depth = outline_distance(crop)
        deepest = np.zeros(crop.max() + 1, np.float32)
        ids = np.unique(crop)
        deepest[ids] = ndimage.maximum(depth, crop, ids)
        inside = crop > 0
        relative = inside * depth / np.maximum(deepest[crop], 1)
        outline = (depth <= 1) & (inside | ndimage.binary_dilation(inside))
        targets.append(np.stack([inside, outline, relative]).astype(np.float32))
    maps = F.avg_pool2d(torch.from_numpy(np.stack(targets)), 2)
    return maps, complete.float()[:, None, None, None]
