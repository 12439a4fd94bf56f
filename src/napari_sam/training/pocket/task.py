"""What the embedded network learns: click kernels first, prompts and corrections afterwards.

An object is prompted by a click, a box or a rough mask, and then corrected by clicks where the
prediction was most wrong, each round seeded with the logits of the one before (Sofiiuk et al. 2021,
"Reviving iterative training with mask guidance"; Kirillov et al. 2023, "Segment Anything").
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.model import Pocket, PocketConfig, PocketFeatures, click_kernel, stack_windows
from napari_sam.training.augment import Source, random_crop
from napari_sam.training.clicks import bounding_box
from napari_sam.training.data import AnnotatedFrame
from napari_sam.training.loop import TrainingConfig
from napari_sam.training.losses import decoder_loss, mask_loss
from napari_sam.training.prompting import first_prompts, next_prompts, placed

from .synthetic import synthesise

MIN_AREA = 10  # pixels at stride 2 below which an object is not asked for
MAX_SIDE = 2048  # pixels; a larger frame is cut, since every crop reads all of its source


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops and the objects to be prompted in them."""

    images: Tensor  # (N, 3, S, S), 0 to 255
    labels: Tensor  # (N, S, S)
    crop: Tensor  # (B,), the crop that each object is in
    windows: Tensor  # (B, 2) y, x of the first pixel of the window that shows each object
    masks: Tensor  # (B, W / 2, W / 2), share of each pixel of the window that is the object
    beyond: Tensor  # (B,), pixels of `masks` that the object has outside of the window


class PocketTask:
    """All of a pocket network learns, from crops of annotated and of synthetic images."""

    def __init__(
        self, network: Pocket, sources: list[list[Source]], config: TrainingConfig
    ) -> None:
        self.network, self.sources, self.config = network, sources, config

    @property
    def trained(self) -> nn.Module:
        """The whole network."""
        return self.network

    def loss(self, rng: np.random.Generator, n_rounds: int, done: float) -> Tensor:
        """Of the prompts, once the dense part of the run is behind, and of the click kernels."""
        network, config = self.network, self.config
        device = next(network.parameters()).device
        batch = draw_batch(config, network.config, self.sources, rng)
        features = network.encoder(network.normalise(batch.images.to(device)))
        kernel_loss = dense_loss(features, batch.labels, config.clicks, rng)
        prompted = torch.zeros((), device=device)
        if done >= config.dense_share:
            prompted = prompted_loss(network, features, batch, n_rounds, rng)
        return prompted + 0.5 * kernel_loss

    def averaged_network(self, average: nn.Module) -> Pocket:
        """The averaged network, rounded to half precision as the file will be."""
        network = copy.deepcopy(self.network).requires_grad_(False).eval()
        rounded = {name: tensor.half().float() for name, tensor in average.state_dict().items()}
        network.load_state_dict(rounded)
        return network


def sources_of(frames: Iterable[AnnotatedFrame], n_synthetic: int, seed: int) -> list[list[Source]]:
    """Frames for training grouped by source, the synthetic ones last."""
    grouped: dict[str, list[Source]] = {}
    for frame in frames:
        for tile in _tiles(frame):
            grouped.setdefault(frame.source, []).append(Source.from_frame(tile))
    rng = np.random.default_rng(seed)
    made = (synthesise(rng) for _ in range(n_synthetic))
    synthetic = [Source.from_frame(frame) for frame in made if frame.labels.any()]
    return [*grouped.values(), synthetic]


def _tiles(frame: AnnotatedFrame) -> Iterator[AnnotatedFrame]:
    """The frame; of a very large one the pieces that hold objects."""
    height, width = frame.labels.shape
    for y in range(0, height, MAX_SIDE):
        for x in range(0, width, MAX_SIDE):
            piece = (slice(y, y + MAX_SIDE), slice(x, x + MAX_SIDE))
            if frame.labels[piece].any():
                yield replace(frame, image=frame.image[piece], labels=frame.labels[piece])


def draw_batch(
    config: TrainingConfig,
    network: PocketConfig,
    sources: list[list[Source]],
    rng: np.random.Generator,
) -> Batch:
    """Crops with at least one object each, sources drawn equally often."""
    size = config.crop_size if rng.random() < config.whole_share else network.window
    images: list[Tensor] = []
    labels: list[Tensor] = []
    windows: list[tuple[int, int]] = []
    masks: list[Tensor] = []
    beyond: list[float] = []
    crop: list[int] = []
    while len(images) < config.crops:
        synthetic = rng.random() < config.synthetic_share
        group = sources[-1] if synthetic else sources[rng.integers(max(1, len(sources) - 1))]
        source = group[rng.integers(len(group))]
        image, found, magnified = random_crop(source, config.crop_size, rng)
        coarse = found[::2, ::2].numpy()
        ids, areas = np.unique(coarse, return_counts=True)
        ids = ids[(ids > 0) & (areas >= MIN_AREA)]
        if len(ids) == 0:
            continue
        for id_ in rng.choice(ids, config.objects, replace=len(ids) < config.objects):
            top, left = _window(coarse == id_, size, config.crop_size, network.stride, rng)
            seen = (found[top : top + size, left : left + size] == int(id_)).float()
            masks.append(F.avg_pool2d(seen[None], 2)[0])
            beyond.append(max(0.0, (magnified * source.areas[id_] - float(seen.sum())) / 4))
            windows.append((top, left))
            crop.append(len(images))
        images.append(image)
        labels.append(found)
    return Batch(
        torch.stack(images),
        torch.stack(labels),
        torch.tensor(crop),
        torch.tensor(windows),
        torch.stack(masks),
        torch.tensor(beyond),
    )


def _window(
    coarse: NDArray[np.bool_], size: int, crop_size: int, stride: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Where a window that shows an object of a crop begins: about its middle, never without it."""
    y0, x0, y1, x1 = bounding_box(coarse)
    pixels = np.argwhere(coarse)
    middle = 2 * (pixels[rng.integers(len(pixels))] if rng.random() < 0.3 else
                  np.array([y0 + y1 + 1, x0 + x1 + 1]) / 2)  # fmt: skip
    start = np.rint((middle - size / 2 + rng.normal(0, 12, 2)) / stride) * stride
    top, left = start.clip(0, crop_size - size).astype(int).tolist()
    return top, left


def dense_loss(
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
    losses = []
    for round_ in range(n_rounds):
        logits, ious = network.decoder(per_object, placed(prompts, device))
        losses.append(decoder_loss(logits, ious, masks, beyond))
        if round_ + 1 < n_rounds:
            prompts = next_prompts(prompts, logits.detach().cpu(), ious.detach().cpu(), truths, rng)
    return torch.stack(losses).mean()
