"""The training task of Segment Anything's decoder: prompts and corrections on images encoded once.

The image encoder, where nearly all weights and all the time are, stays as it is (as in micro-sam's
decoder-only finetuning, Archit et al. 2025, "Segment Anything for Microscopy").
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.model import PromptTensors, Sam, empty_network

from .losses import decoder_loss
from .options import TrainingConfig
from .prompting import corrected, first_prompts, only_given, placed, random_kind
from .views import View


class DecoderTask:
    """Prompt encoder and mask decoder learn; the objects of a view share one kind of prompt."""

    def __init__(self, network: Sam, views: Sequence[View], config: TrainingConfig) -> None:
        self.network, self.views, self.config = network, views, config
        self.parts = nn.ModuleDict(
            {
                "prompt_encoder": copy.deepcopy(network.prompt_encoder),
                "mask_decoder": copy.deepcopy(network.mask_decoder),
            }
        )
        self.whole = _assembled(network, self.parts)

    @property
    def trained(self) -> nn.Module:
        """All but the image encoder, its parameters named as in the whole network."""
        return self.parts

    def loss(self, rng: np.random.Generator, n_rounds: int, done: float) -> Tensor:
        """Mean over a few views."""
        chosen = rng.integers(len(self.views), size=self.config.crops)
        losses = [self._view_loss(self.views[i], n_rounds, rng) for i in chosen]
        return torch.stack(losses).mean()

    def averaged_network(self, average: nn.Module) -> Sam:
        """The averaged decoder behind the encoder it was trained on."""
        return _assembled(self.network, average)

    def _view_loss(self, view: View, n_rounds: int, rng: np.random.Generator) -> Tensor:
        """Loss over rounds: a first prompt for every object, then corrective clicks."""
        config = self.network.config
        stride = config.input_size // config.mask_size
        device = next(self.parts.parameters()).device
        embedding, labels = view.load(device)
        few = len(view.ids) < self.config.objects
        ids = torch.from_numpy(rng.choice(view.ids, self.config.objects, replace=few))
        masks = F.avg_pool2d((labels == ids[:, None, None]).float(), stride)  # (B, m, m)
        truths = (masks >= 0.5 * masks.amax((1, 2), keepdim=True)).numpy()  # thin ones too
        masks = masks.to(device)
        prompts = first_prompts(truths, rng, stride=stride, kind=random_kind(rng))

        def answer(prompts: PromptTensors) -> tuple[Tensor, Tensor]:
            return self.whole.decode((embedding,), only_given(placed(prompts, device)))

        rounds = corrected(answer, prompts, truths, n_rounds, rng, stride=stride)
        return torch.stack([decoder_loss(*found, masks) for found in rounds]).mean()


def _assembled(network: Sam, parts: nn.Module) -> Sam:
    """A network with the image encoder of one, and the parts of another under their names."""
    whole = cast(Sam, empty_network(network.config))
    whole.image_encoder = network.image_encoder
    for name, part in parts.named_children():
        setattr(whole, name, part)
    return whole
