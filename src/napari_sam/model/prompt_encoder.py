"""Prompts to embeddings: points and boxes to sparse ones, a mask to a dense one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .layers import LayerNorm2d


@dataclass(frozen=True)
class PromptTensors:
    """The prompts of B objects in one image, x before y, in pixels of the network's input.

    The centre of the first pixel is (0, 0). Prompts that are None are absent for all objects.
    """

    points: Tensor | None = None  # (B, N, 2) x, y
    labels: Tensor | None = None  # (B, N) 1 positive, 0 negative, -1 padding
    boxes: Tensor | None = None  # (B, 4) x0, y0, x1, y1
    masks: Tensor | None = None  # (B, 1, m, m) low-res logits
    diameter: float | None = None  # of the objects as expected, where that is known
    least_iou: float | None = None  # IoU prediction of a candidate from which masks are worth it
    merge_clicks: bool = False  # the single mask of one click shall be what all its masks agree on

    @property
    def given(self) -> tuple[Tensor, ...]:
        """The prompts that are not None."""
        every = (self.points, self.boxes, self.masks)
        return tuple(prompt for prompt in every if prompt is not None)

    @property
    def n_objects(self) -> int:
        """How many objects are prompted."""
        return len(self.given[0])


class PromptEncoder(nn.Module):
    """Points, boxes and masks to sparse embeddings (B, N, C) and dense embeddings (B, h, w, C)."""

    def __init__(self, embedding_dim: int, embedding_size: int, input_size: int) -> None:
        super().__init__()
        self.embedding_size = embedding_size
        self.input_size = input_size
        self.pe_layer = RandomPositionEncoding(embedding_dim // 2)
        # Negative point, positive point, first corner of a box, last corner
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, embedding_dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, embedding_dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=2, stride=2),
            LayerNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 16, kernel_size=2, stride=2),
            LayerNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, embedding_dim, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, embedding_dim)

    def forward(self, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Embed the prompts of B objects.

        Returns:
            the sparse embeddings (B, N, C): points, then the two corners of the box; and the dense
            embeddings (B, h, w, C), or (1, 1, 1, C), to be broadcast, where there is no mask.
        """
        sparse = []
        if prompts.points is not None and prompts.labels is not None:
            sparse.append(self._embed_points(prompts.points, prompts.labels, prompts.boxes is None))
        if prompts.boxes is not None:
            sparse.append(self._embed_boxes(prompts.boxes))
        if prompts.masks is not None:
            masks = prompts.masks.to(self.no_mask_embed.weight.dtype)
            dense = self.mask_downscaling(masks).permute(0, 2, 3, 1)
        else:
            dense = self.no_mask_embed.weight[None, None]
        if not sparse:
            sparse.append(dense.new_empty(dense.shape[0], 0, dense.shape[-1]))
        return torch.cat(sparse, dim=1), dense

    def dense_pe(self) -> Tensor:
        """Positional encoding of the image embedding's places, (1, h, w, C)."""
        centres = torch.arange(self.embedding_size, device=self.no_mask_embed.weight.device) + 0.5
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        pe: Tensor = self.pe_layer(torch.stack([x, y], dim=-1) / self.embedding_size)
        return pe.unsqueeze(0)

    def _embed_points(self, points: Tensor, labels: Tensor, pad: bool) -> Tensor:
        # Without a box, a padding point takes the place of its corners
        if pad:
            points = torch.cat([points, torch.zeros_like(points[:, :1])], dim=1)
            labels = torch.cat([labels, -torch.ones_like(labels[:, :1])], dim=1)
        negative, positive, *_ = self.point_embeddings.parameters()
        kinds = torch.cat([negative, positive, self.not_a_point_embed.weight])
        pe: Tensor = self.pe_layer((points + 0.5) / self.input_size)  # (B, N, C)
        pe = pe.masked_fill((labels == -1).unsqueeze(-1), 0.0)
        return pe + kinds[labels.long()]  # index -1 is the last: not a point

    def _embed_boxes(self, boxes: Tensor) -> Tensor:
        *_, first, last = self.point_embeddings.parameters()
        corners = boxes.view(-1, 2, 2)
        pe: Tensor = self.pe_layer((corners + 0.5) / self.input_size)  # (B, 2, C)
        return pe + torch.cat([first, last])


class RandomPositionEncoding(nn.Module):
    """Random Fourier features of places (Tancik et al., arXiv:2006.10739)."""

    def __init__(self, frequencies: int) -> None:
        super().__init__()
        self.positional_encoding_gaussian_matrix: Tensor
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, frequencies))

    def forward(self, places: Tensor) -> Tensor:
        """Places (..., 2) as x, y from 0 to 1 over the input, to (..., 2 * frequencies)."""
        frequencies = self.positional_encoding_gaussian_matrix
        # Half precision would move a place by pixels
        phases = 2 * math.pi * ((2 * places.float() - 1) @ frequencies.float())
        return torch.cat([phases.sin(), phases.cos()], dim=-1).to(frequencies.dtype)
