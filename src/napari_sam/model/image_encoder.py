"""The image encoder of Segment Anything: a plain Vision Transformer (ViTDet, arXiv:2203.16527)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import RelativePositionAttention
from .layers import LayerNorm2d, MLPBlock

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ViTConfig:
    """Size of a Vision Transformer."""

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]  # four blocks see the whole map, the others a window
    window_size: int = 14  # 64 tokens are padded to 5 windows of 14
    patch_size: int = 16


class ImageEncoderViT(nn.Module):
    """Image (B, 3, S, S) to image embedding (B, C, S / 16, S / 16)."""

    def __init__(self, config: ViTConfig, input_size: int, embedding_dim: int) -> None:
        super().__init__()
        map_size = input_size // config.patch_size
        self.patch_embed = PatchEmbed(config.patch_size, config.width)
        self.pos_embed = nn.Parameter(torch.zeros(1, map_size, map_size, config.width))
        self.blocks = nn.ModuleList(
            Block(
                config.width,
                config.heads,
                map_size,
                window_size=0 if index in config.global_blocks else config.window_size,
            )
            for index in range(config.depth)
        )
        self.neck = neck(config.width, embedding_dim)

    def forward(self, image: Tensor, progress: Progress | None = None) -> Tensor:
        """Encode; `progress(done, total)` follows each block and may raise to stop."""
        x = self.patch_embed(image) + self.pos_embed  # (B, H, W, C)
        for done, block in enumerate(self.blocks, start=1):
            x = block(x)
            if progress is not None:
                progress(done, len(self.blocks))
        embedding: Tensor = self.neck(x.permute(0, 3, 1, 2))
        return embedding


class PatchEmbed(nn.Module):
    """One token per patch: (B, 3, S, S) to (B, H, W, C)."""

    def __init__(self, patch_size: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=patch_size, stride=patch_size)

    def forward(self, image: Tensor) -> Tensor:
        # Patches don't overlap: a linear layer on the pixels of each, channel by channel
        patches = F.pixel_unshuffle(image, self.proj.stride[0]).permute(0, 2, 3, 1)
        return F.linear(patches.contiguous(), self.proj.weight.flatten(1), self.proj.bias)


class Block(nn.Module):
    """A transformer block on a map (B, H, W, C): attention, then a perceptron."""

    def __init__(self, width: int, heads: int, map_size: int, window_size: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = RelativePositionAttention(width, heads, map_size, window_size)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLPBlock(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        updated: Tensor = x + self.mlp(self.norm2(x))
        return updated


def neck(width: int, embedding_dim: int) -> nn.Sequential:
    """Two convolutions that take the encoder's width to that of the image embedding."""
    return nn.Sequential(
        nn.Conv2d(width, embedding_dim, kernel_size=1, bias=False),
        LayerNorm2d(embedding_dim),
        nn.Conv2d(embedding_dim, embedding_dim, kernel_size=3, padding=1, bias=False),
        LayerNorm2d(embedding_dim),
    )
