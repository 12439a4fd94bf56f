"""Maps of what belongs to objects, without any prompt: automatic segmentation begins from them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .encoder import PocketConfig, PocketFeatures, conv

N_MAPS = 3  # objects, their outlines, and the relative depth in them


class MapsHead(nn.Module):
    """Features of one level to maps, quiet on the background."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        n_in = config.widths[1] + 2 * config.kernel_dim + 1
        self.hidden = conv(n_in, config.maps_width)
        self.to_maps = conv(config.maps_width, N_MAPS, size=1)
        self.to_maps.bias = nn.Parameter(torch.full((N_MAPS,), -2.0))

    def forward(self, features: PocketFeatures) -> Tensor:
        """Logits (B, N_MAPS, H / 4, W / 4)."""
        seen = torch.cat([features.fine, features.kernel], 1)
        maps: Tensor = self.to_maps(F.relu(self.hidden(seen)))
        return maps
