"""What the embedded network learns: click kernels first, prompts and corrections afterwards.

An object is prompted by a click, a box or a rough mask, and then corrected by clicks where the
prediction was most wrong, each round seeded with the logits of the one before (Sofiiuk et al. 2021,
"Reviving iterative training with mask guidance"; Kirillov et al. 2023, "Segment Anything").
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.model import Pocket, PocketFeatures, PromptTensors, click_kernel, stack_windows
from napari_sam.training.loop import TrainingConfig
from napari_sam.training.losses import decoder_loss, mask_loss
from napari_sam.training.prompting import corrected, first_prompts, placed

from .batch import Batch, draw_batch
from .crops import SourcePool
from .synthetic.signals import outline_distance


class PocketTask:
    """Crops of annotated and of synthetic images; all of a pocket network is trained, or its heads.

    The heads rank masks and map what belongs to objects. Trained alone, they leave every mask as it
    is, for a third of the time.
    """

    def __init__(self, network: Pocket, pool: SourcePool, config: TrainingConfig) -> None:
        self.network, self.pool, self.config = network, pool, config

    @property
    def trained(self) -> nn.Module:
        """The whole network, or its heads, their parameters named as in the network."""
        return heads_of(self.network) if self.config.heads_only else self.network

    def loss(self, rng: np.random.Generator, n_rounds: int, done: float) -> Tensor:
        """Of the prompts, once the dense part of the run is behind, of click kernels and maps."""
        network, config = self.network, self.config
        device = next(network.parameters()).device
        batch = draw_batch(config, network.config, self.pool, rng)
        images = batch.images.to(device, memory_format=torch.channels_last)
        with torch.set_grad_enabled(not config.heads_only):
            features = network.encoder(network.normalise(images))
        loss = torch.zeros((), device=device)
        if network.maps is not None:
            loss = loss + maps_loss(network.maps(features), batch)
        if not config.heads_only:
            loss = loss + 0.5 * kernel_loss(features, batch.labels, config.clicks, rng)
        if done >= config.dense_share:
            loss = loss + prompted_loss(network, features, batch, n_rounds, rng)
        return loss

    def averaged_network(self, average: nn.Module) -> Pocket:
        """The network with averaged weights, rounded to half precision as the file will be."""
        network = copy.deepcopy(self.network).requires_grad_(False).eval()
        rounded = {name: tensor.half().float() for name, tensor in average.state_dict().items()}
        network.load_state_dict(rounded, strict=not self.config.heads_only)
        return network


def heads_of(network: Pocket) -> nn.Module:
    """The parts that no mask depends on, under their names in the network."""
    heads = nn.ModuleDict({"decoder": nn.ModuleDict({"quality": network.decoder.quality})})
    if network.maps is not None:
        heads["maps"] = network.maps
    return heads


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


def maps_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of the maps (N, 3, h, w) with what the labels say at their stride."""
    device = logits.device
    targets, weights = map_targets(batch.labels, batch.complete)
    with torch.autocast(device.type, enabled=False):
        entropy = F.binary_cross_entropy_with_logits(
            logits.float(), targets.to(device), reduction="none"
        )
        weighted = entropy * weights.to(device)
        return weighted.sum() / weights.sum().clamp(min=1)


def map_targets(labels: Tensor, complete: Tensor) -> tuple[Tensor, Tensor]:
    """What the maps should be for labels (N, S, S).

    Returns:
        targets (N, 3, S / 4, S / 4): the share of each pixel that objects cover; the share within
        2 pixels of an outline; and the depth in the object, 1 where it is greatest. Weights
        (N, 1, S / 4, S / 4): 0 where unlabelled pixels may be an object's.
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
    known = (maps[:, :2].amax(1, keepdim=True) > 0) | complete[:, None, None, None]
    return maps, known.float()


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
