"""The training loop, for any network: what a step learns is up to its task.

The rate warms up and falls as a cosine over the run; what is kept is a running average of the
weights. Workers of one process group train together, each on images of its own. Everything random
is drawn again at every step, so that a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, distributed, nn

from napari_sam.engine import ModelError, fast_in_bf16
from napari_sam.model import Network

from .options import TrainingConfig


@dataclass(frozen=True)
class Progress:
    """The result of one step."""

    step: int
    done: float  # 0 to 1, share of the run
    loss: float


class TrainingTask(Protocol):
    """The loss of a step, and the part of a network that learns."""

    @property
    def trained(self) -> nn.Module: ...  # all of its parameters change
    def loss(self, rng: np.random.Generator, n_rounds: int, done: float) -> Tensor: ...
    def averaged_network(self, average: nn.Module) -> Network: ...  # as it will be saved


class Training:
    """The trained part of a network, its optimiser and its running average, one step at a time."""

    def __init__(self, task: TrainingTask, config: TrainingConfig) -> None:
        self.task, self.config = task, config
        self.worker, self.n_workers = workers()
        self.trained = task.trained.requires_grad_()
        for parameter in self.trained.parameters():
            if parameter.ndim == 4:  # a tenth off the time of convolutions on a processor
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.trained).requires_grad_(False).eval()
        self.parameters: list[Tensor] = list(self.trained.parameters())
        self.device = self.parameters[0].device
        self.bf16 = fast_in_bf16(self.device) if config.bf16 is None else config.bf16
        self.optimiser = torch.optim.AdamW(
            self.parameters,
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
        """Train to the end of the run, telling about every step.

        Raises
        ------
        ModelError
            If the loss or its gradient is not finite; the weights are those before the step then.
        """
        while self.done < 1:
            started = time.monotonic()
            loss = self._step()
            self.step += 1
            self.spend(time.monotonic() - started)
            yield Progress(self.step, self.done, loss)

    def spend(self, seconds: float) -> None:
        """Count time as behind, the longest of the workers', so that all follow one schedule."""
        self.seconds += seconds
        if self.n_workers > 1:
            longest = torch.tensor(self.seconds, dtype=torch.float64)
            distributed.all_reduce(longest, distributed.ReduceOp.MAX)
            self.seconds = float(longest)

    def state(self) -> dict[str, Any]:
        """Everything needed to resume."""
        return {
            "network": self.trained.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a ``state``."""
        self.trained.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]

    def _step(self) -> float:
        rate = self.config.rate * min(1.0, (self.step + 1) / self.config.warm_up)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * (0.01 + 0.99 * (1 + math.cos(math.pi * self.done)) / 2)
        common = np.random.default_rng((self.config.seed, self.step))
        n_rounds = 1 + int(common.choice(len(self.config.rounds), p=self.config.rounds))
        rng = np.random.default_rng((self.config.seed, self.step, self.worker))
        self.optimiser.zero_grad()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = self.task.loss(rng, n_rounds, self.done)
        torch.autograd.backward([loss])
        self._share_gradients()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        value = float(loss.detach())
        if not math.isfinite(value + float(norm)):
            raise ModelError(
                f"The training failed in step {self.step + 1}: its loss is {value}, the "
                f"gradient's norm {float(norm)}. Earlier good weights are kept. Continue "
                "from there with other prompts and crops: the same command with --resume and "
                "another --seed."
            )
        self.optimiser.step()
        self._update_average()
        return value

    def _share_gradients(self) -> None:
        """Average the gradients over the workers, of what any of them has used."""
        if self.n_workers == 1:
            return
        used = torch.tensor([p.grad is not None for p in self.parameters], dtype=torch.uint8)
        distributed.all_reduce(used, distributed.ReduceOp.MAX)
        gradients = []
        for parameter, is_used in zip(self.parameters, used.tolist(), strict=True):
            if is_used:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        sizes = [gradient.numel() for gradient in gradients]
        means = torch.split_with_sizes(flat / self.n_workers, sizes)
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view(gradient.shape))

    @torch.no_grad()
    def _update_average(self) -> None:
        keep = min(self.config.ema, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(list(self.average.parameters()), self.parameters, 1 - keep)


@contextmanager
def joined_workers() -> Iterator[None]:
    """Inside, the processes that torchrun has started train together, if it has started any."""
    if not distributed.is_torchelastic_launched():
        yield
        return
    distributed.init_process_group("gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def workers() -> tuple[int, int]:
    """This process's number among those that train together, and how many there are."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def wait_for_workers() -> None:
    """Wait until all workers reach this point."""
    if distributed.is_initialized():
        distributed.barrier()
