"""The encoder of the embedded network: one level of its pyramid to features.

A residual pyramid of plain convolutions (strides 2 to 32) merged from coarse to fine. Its last
layer gives every pixel a spatial embedding, so that a click selects the pixels that point to the
same object (Neven et al. 2019, "Instance segmentation by jointly optimizing spatial embeddings and
clustering bandwidth").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.model.layers import LayerNorm2d


@dataclass(frozen=True)
class PocketConfig:
    """Everything that decides the shapes of a pocket network."""

    name: str = "pocket"
    input_size: int = 1024  # long side of the input in pixels
    mask_size: int = 512  # long side of the low-res logits: stride 2, a 10 px cell keeps 5 pixels
    levels: tuple[int, ...] = (1, 2, 4)  # of the pyramid: how far the input is shrunk for each
    window: int = 192  # pixels of a level in which an object is decoded; if large, all of the last
    sure: float = 0.8  # IoU prediction of a click from which on no coarser level is looked at
    fit: int = 110  # pixels of a level that an object extends over at most, to be decoded there
    widths: tuple[int, ...] = (16, 32, 64, 128, 160)  # at strides 2, 4, 8, 16, 32
    depths: tuple[int, ...] = (0, 2, 3, 4, 1)  # residual blocks at those strides
    n_masks: int = 4  # the single mask and three candidates
    kernel_dim: int = 8  # dimensions of the spatial embedding, the first two are x and y
    maps_width: int = 32  # of the head that maps objects; 0: none, as in the second version

    @property
    def stride(self) -> int:
        """Every level's extent is a multiple of this."""
        return int(2 ** len(self.widths))


POCKET = PocketConfig()


class PocketFeatures(NamedTuple):
    """Output of the encoder for the decoder, all (B, C, H / stride, W / stride)."""

    coarse: Tensor  # stride 16: the image embedding
    middle: Tensor  # stride 8
    fine: Tensor  # stride 4
    edges: Tensor  # stride 2
    kernel: Tensor  # stride 4, (2 * kernel_dim + 1): offsets, log weights, slope


def conv(n_in: int, n_out: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """Convolution that keeps the extent, or divides it by the stride."""
    return nn.Conv2d(n_in, n_out, size, stride, padding=size // 2)


class Block(nn.Module):
    """Residual block: x + conv(relu(conv(norm(x))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(width)
        self.conv1 = conv(width, width)
        self.conv2 = conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.conv2(F.relu(self.conv1(self.norm(x))))
        return x + change


def upsample(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear to the extent of ``like``."""
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)


class PocketEncoder(nn.Module):
    """Input (B, 3, H, W), a multiple of 32 on both sides → PocketFeatures."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        n_inputs = (3, *config.widths[:-1])
        self.downs = nn.ModuleList(
            conv(n_in, n_out, stride=2) for n_in, n_out in zip(n_inputs, config.widths, strict=True)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(depth)))
            for width, depth in zip(config.widths, config.depths, strict=True)
        )
        _, fine, middle, coarse, deep = config.widths
        self.laterals = nn.ModuleList(
            conv(n_in, n_out, size=1)
            for n_in, n_out in ((deep, coarse), (coarse, middle), (middle, fine))
        )
        self.merges = nn.ModuleList(Block(width) for width in (coarse, middle, fine))
        self.norms = nn.ModuleList(LayerNorm2d(width) for width in (coarse, middle, fine))
        self.kernel = conv(fine, 2 * config.kernel_dim + 1, size=1)

    def forward(
        self, x: Tensor, progress: Callable[[int, int], None] | None = None
    ) -> PocketFeatures:
        done, total = 0, len(self.stages) + len(self.merges)
        # Residual pyramid, fine to coarse
        levels = []
        for down, stage in zip(self.downs, self.stages, strict=True):
            x = stage(F.relu(down(x)))
            levels.append(x)
            done = _report(progress, done + 1, total)

        # Merge from coarse to fine
        merged = []
        for lateral, merge, skip in zip(self.laterals, self.merges, levels[-2:0:-1], strict=True):
            x = merge(skip + upsample(lateral(x), skip))
            merged.append(x)
            done = _report(progress, done + 1, total)
        coarse, middle, fine = (norm(x) for norm, x in zip(self.norms, merged, strict=True))
        return PocketFeatures(coarse, middle, fine, levels[0], self.kernel(fine))


def _report(progress: Callable[[int, int], None] | None, done: int, total: int) -> int:
    if progress is not None:
        progress(done, total)
    return done
