"""The image encoder of MobileSAM (arXiv:2306.14289): TinyViT-5M (arXiv:2207.10666)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .image_encoder import Progress, neck
from .layers import window_partition, window_unpartition


@dataclass(frozen=True)
class TinyViTConfig:
    """Size of a TinyViT: one entry for each of its four stages, at strides 4, 8, 16 and 16."""

    widths: tuple[int, ...] = (64, 128, 160, 320)
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (2, 4, 5, 10)
    window_sizes: tuple[int, ...] = (7, 7, 14, 7)
    classes: int = 1000  # of the classification head, which the checkpoint holds but nothing uses


class TinyViT(nn.Module):
    """Image (B, 3, S, S) to image embedding (B, C, S / 16, S / 16)."""

    def __init__(self, config: TinyViTConfig, embedding_dim: int) -> None:
        super().__init__()
        widths, last = config.widths, config.widths[-1]
        self.patch_embed = PatchEmbed(widths[0])
        # The first two stages halve the map at their end; the third keeps it, the last has no next
        downsamples = (
            PatchMerging(widths[0], widths[1], stride=2),
            PatchMerging(widths[1], widths[2], stride=2),
            PatchMerging(widths[2], widths[3], stride=1),
            None,
        )
        self.depths = config.depths
        self.layers = nn.ModuleList()
        for index, downsample in enumerate(downsamples):
            blocks = [_block(config, index) for _ in range(config.depths[index])]
            self.layers.append(Stage(blocks, downsample))
        self.norm_head = nn.LayerNorm(last)
        self.head = nn.Linear(last, config.classes)
        self.neck = neck(last, embedding_dim)

    def forward(self, image: Tensor, progress: Progress | None = None) -> Tensor:
        """Encode; `progress(done, total)` follows each block and may raise to stop."""
        embedding: Tensor = self.neck(self.features(image, progress))
        return embedding

    def features(self, image: Tensor, progress: Progress | None = None) -> Tensor:
        """The last stage's map (B, widths[-1], S / 16, S / 16), before the neck."""
        done = count(start=1)

        def advance() -> None:
            if progress is not None:
                progress(next(done), sum(self.depths))

        x: Tensor = self.patch_embed(image)
        for stage in self.layers:
            x = stage(x, advance)
        return x


class Stage(nn.Module):
    """The blocks at one resolution, and what leads to the next."""

    def __init__(self, blocks: list[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor, advance: Callable[[], None]) -> Tensor:
        for block in self.blocks:
            x = block(x)
            advance()
        return x if self.downsample is None else self.downsample(x)


def _block(config: TinyViTConfig, stage: int) -> nn.Module:
    """A block of a stage: convolutions in the first, attention in the others."""
    width = config.widths[stage]
    if stage == 0:
        return MBConv(width)
    return TinyViTBlock(width, config.heads[stage], config.window_sizes[stage])


class ConvNorm(nn.Sequential):
    """A convolution without bias and its batch normalisation."""

    def __init__(
        self, dim: int, out_dim: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        padding = kernel // 2
        conv = nn.Conv2d(dim, out_dim, kernel, stride, padding, groups=groups, bias=False)
        self.add_module("c", conv)
        self.add_module("bn", nn.BatchNorm2d(out_dim))


class PatchEmbed(nn.Module):
    """Two convolutions of stride 2: (B, 3, S, S) to (B, C, S / 4, S / 4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvNorm(3, width // 2, kernel=3, stride=2),
            nn.GELU(),
            ConvNorm(width // 2, width, kernel=3, stride=2),
        )

    def forward(self, image: Tensor) -> Tensor:
        tokens: Tensor = self.seq(image)
        return tokens


class MBConv(nn.Module):
    """Inverted bottleneck on a map (B, C, H, W) (MobileNetV2, arXiv:1801.04381)."""

    def __init__(self, width: int, expansion: int = 4) -> None:
        super().__init__()
        hidden = expansion * width
        self.conv1 = ConvNorm(width, hidden)
        self.conv2 = ConvNorm(hidden, hidden, kernel=3, groups=hidden)
        self.conv3 = ConvNorm(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.gelu(self.conv2(F.gelu(self.conv1(x))))
        return F.gelu(x + self.conv3(hidden))


class PatchMerging(nn.Module):
    """Convolutions to the next stage: (B, C, H, W) to (B, C', H / stride, W / stride)."""

    def __init__(self, width: int, out_width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(width, out_width)
        self.conv2 = ConvNorm(out_width, out_width, kernel=3, stride=stride, groups=out_width)
        self.conv3 = ConvNorm(out_width, out_width)

    def forward(self, x: Tensor) -> Tensor:
        merged: Tensor = self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))
        return merged


class TinyViTBlock(nn.Module):
    """Attention in windows, a convolution of 3 x 3, a perceptron: on a map (B, C, H, W)."""

    def __init__(self, width: int, heads: int, window_size: int) -> None:
        super().__init__()
        self.attn = BiasedAttention(width, heads, window_size)
        self.local_conv = ConvNorm(width, width, kernel=3, groups=width)
        self.mlp = NormMLP(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)  # (B, H, W, C)
        x = (x + self.attn(x)).permute(0, 3, 1, 2)
        x = self.local_conv(x).permute(0, 2, 3, 1)
        x = x + self.mlp(x)
        return x.permute(0, 3, 1, 2)


class NormMLP(nn.Module):
    """Layer normalisation and a two-layer perceptron, (..., C) to (..., C)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.fc2(F.gelu(self.fc1(self.norm(x))))
        return projected


class BiasedAttention(nn.Module):
    """Self-attention in windows with a learnt bias for each distance (LeViT, arXiv:2104.01136)."""

    def __init__(self, width: int, heads: int, window_size: int) -> None:
        super().__init__()
        self.heads = heads
        self.window_size = window_size
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window_size**2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to (B, H, W, C)."""
        # A padding token is zero before the normalisation, and the norm's bias after it
        padding = self.qkv(self.norm.bias)
        windows = window_partition(self.qkv(self.norm(x)), self.window_size, padding)
        b, n, _ = windows.shape
        q, k, v = windows.view(b, n, self.heads, 3, -1).permute(3, 0, 2, 1, 4)  # (B, heads, N, d)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=self._bias())
        attended = attended.transpose(1, 2).flatten(2)  # (B, N, C)
        size = (x.shape[1], x.shape[2])
        projected: Tensor = self.proj(window_unpartition(attended, self.window_size, size))
        return projected

    def _bias(self) -> Tensor:
        """The bias between each two tokens of a window, (heads, N, N)."""
        places = torch.arange(self.window_size, device=self.attention_biases.device)
        y, x = (axis.flatten() for axis in torch.meshgrid(places, places, indexing="ij"))
        distance_y, distance_x = (axis[:, None] - axis[None, :] for axis in (y, x))
        return self.attention_biases[:, distance_y.abs() * self.window_size + distance_x.abs()]
