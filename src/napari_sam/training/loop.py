"""Training of the embedded network: click kernels first, prompts and corrections afterwards.

An object is prompted by a click, a box or a rough mask, and then corrected by clicks where the
prediction was most wrong, each round seeded with the logits of the one before (Sofiiuk et al. 2021,
"Reviving iterative training with mask guidance"; Kirillov et al. 2023, "Segment Anything").
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from napari_sam.model import POCKET, Pocket, PocketConfig
from napari_sam.model.pocket import PocketFeatures, click_kernel

from .augment import Source, random_crop
from .losses import decoder_loss, mask_loss
from .prompting import first_prompts, next_prompts

MIN_AREA = 10  # pixels at stride 2 below which an object is not asked for


@dataclass(frozen=True)
class TrainingConfig:
    """One training run."""

    network: PocketConfig = POCKET
    minutes: float = 75.0  # of wall time, over which the rate falls as a cosine
    steps: int | None = None  # instead of the minutes: the same run on any machine
    seed: int = 0
    crops: int = 4  # per step and worker
    crop_size: int = 256
    objects: int = 4  # per crop
    clicks: int = 16  # per crop, for the click kernels
    rounds: tuple[float, ...] = (0.2, 0.25, 0.25, 0.2, 0.1)  # chances of 1, 2 … rounds of prompts
    dense_share: float = 0.12  # of the run: click kernels only, a gradient at every pixel
    rate: float = 1.5e-3
    warm_up: int = 100  # steps
    weight_decay: float = 0.02
    clip: float = 1.0
    ema: float = 0.998
    synthetic_share: float = 0.4  # of the crops
    bf16: bool = True


@dataclass(frozen=True)
class Progress:
    """What one step did."""

    step: int
    done: float  # 0 to 1, share of the run
    loss: float
    kernel_loss: float
    crops_per_second: float


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops and the objects to be prompted in them."""

    images: Tensor  # (N, 3, S, S), 0 to 255
    labels: Tensor  # (N, S, S)
    crop: Tensor  # (B,), the crop that each object is in
    masks: Tensor  # (B, S / 2, S / 2), share of each pixel that is the object


class Training:
    """A network, its optimiser and its running average, one step at a time.

    Workers of one process group train together, each on crops of its own.
    """

    sources: list[list[Source]]  # groups drawn equally often, the synthetic ones last

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        parallel = distributed.is_initialized()
        self.worker, self.n_workers = (
            (distributed.get_rank(), distributed.get_world_size()) if parallel else (0, 1)
        )
        self.network = Pocket(config.network)
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=config.rate,
            betas=(0.9, 0.98),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.step = 0
        self.seconds = 0.0

    @property
    def done(self) -> float:
        """Share of the run that is behind."""
        if self.config.steps is not None:
            return self.step / self.config.steps
        return self.seconds / (60 * self.config.minutes)

    def run(self) -> Iterator[Progress]:
        """Train to the end of the run, telling about every step."""
        while self.done < 1:
            started = time.monotonic()
            loss, kernel_loss = self._step()
            self.step += 1
            self.seconds = self._agree_on_time(self.seconds + time.monotonic() - started)
            speed = self.n_workers * self.config.crops / (time.monotonic() - started)
            yield Progress(self.step, self.done, loss, kernel_loss, speed)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a ``state``."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]

    def _step(self) -> tuple[float, float]:
        rate = self.config.rate * min(1.0, (self.step + 1) / self.config.warm_up)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * (0.01 + 0.99 * (1 + math.cos(math.pi * self.done)) / 2)
        # Drawn anew at every step: a resumed run goes on as an uninterrupted one
        common = np.random.default_rng((self.config.seed, self.step))
        n_rounds = 1 + int(common.choice(len(self.config.rounds), p=self.config.rounds))
        rng = np.random.default_rng((self.config.seed, self.step, self.worker))
        batch = draw_batch(self.config, self.sources, rng)
        self.optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.bf16):
            features = self.network.encode(self.network.preprocess(batch.images))
            kernel_loss = dense_loss(features, batch.labels, self.config.clicks, rng)
            prompted = torch.zeros(())
            if self.done >= self.config.dense_share:
                prompted = prompted_loss(self.network, features, batch, n_rounds, rng)
        torch.autograd.backward([prompted + 0.5 * kernel_loss])
        self._share_gradients()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self.optimiser.step()
        self._update_average()
        return float(prompted.detach()), float(kernel_loss.detach())

    def _share_gradients(self) -> None:
        """Average the gradients over the workers."""
        if self.n_workers == 1:
            return
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        flat = nn.utils.parameters_to_vector(gradients)
        distributed.all_reduce(flat)
        nn.utils.vector_to_parameters(flat / self.n_workers, gradients)

    def _agree_on_time(self, seconds: float) -> float:
        """The workers' longest time, so that all follow one schedule."""
        if self.n_workers == 1:
            return seconds
        longest = torch.tensor(seconds, dtype=torch.float64)
        distributed.all_reduce(longest, distributed.ReduceOp.MAX)
        return float(longest)

    @torch.no_grad()
    def _update_average(self) -> None:
        keep = min(self.config.ema, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(
            list(self.average.parameters()), list(self.network.parameters()), 1 - keep
        )


def draw_batch(
    config: TrainingConfig, sources: list[list[Source]], rng: np.random.Generator
) -> Batch:
    """Crops with at least one object each, sources drawn equally often."""
    images: list[Tensor] = []
    labels: list[Tensor] = []
    masks: list[Tensor] = []
    crop: list[int] = []
    while len(images) < config.crops:
        synthetic = rng.random() < config.synthetic_share
        group = sources[-1] if synthetic else sources[rng.integers(max(1, len(sources) - 1))]
        image, found = random_crop(group[rng.integers(len(group))], config.crop_size, rng)
        coarse = found[::2, ::2]
        ids, areas = np.unique(coarse.numpy(), return_counts=True)
        ids = ids[(ids > 0) & (areas >= MIN_AREA)]
        if len(ids) == 0:
            continue
        chosen = rng.choice(ids, config.objects, replace=len(ids) < config.objects)
        for id_ in chosen:
            masks.append(F.avg_pool2d((found == int(id_)).float()[None], 2)[0])
            crop.append(len(images))
        images.append(image)
        labels.append(found)
    return Batch(torch.stack(images), torch.stack(labels), torch.tensor(crop), torch.stack(masks))


def dense_loss(
    features: PocketFeatures, labels: Tensor, n_clicks: int, rng: np.random.Generator
) -> Tensor:
    """Mask loss of the click kernels of random pixels of random objects in labels (N, S, S)."""
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
    target = torch.eq(coarse[:, None], clicked[..., None, None]).float()
    with torch.autocast("cpu", enabled=False):
        logits = click_kernel(features.kernel, (where.flip(-1).float() + 0.5) * 4)
        return mask_loss(logits, target).mean()


def prompted_loss(
    network: Pocket,
    features: PocketFeatures,
    batch: Batch,
    n_rounds: int,
    rng: np.random.Generator,
) -> Tensor:
    """Loss over rounds: a first prompt for every object, then corrective clicks."""
    per_object = tuple(feature[batch.crop] for feature in features)
    truths = batch.masks.numpy() > 0.5
    prompts = first_prompts(truths, rng)
    losses = []
    for round_ in range(n_rounds):
        logits, ious = network.decode(per_object, prompts)
        losses.append(decoder_loss(logits, ious, batch.masks))
        if round_ + 1 < n_rounds:
            prompts = next_prompts(prompts, logits.detach(), ious.detach(), truths, rng)
    return torch.stack(losses).mean()
