"""Segment Anything (Kirillov et al., arXiv:2304.02643): an image and prompts to masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .image_encoder import ImageEncoderViT, Progress, ViTConfig
from .mask_decoder import MaskDecoder
from .prompt_encoder import PromptEncoder, PromptTensors
from .tiny_vit import TinyViT, TinyViTConfig

__all__ = [
    "VIT_B",
    "VIT_H",
    "VIT_L",
    "VIT_T",
    "Network",
    "NetworkConfig",
    "PromptTensors",
    "Sam",
    "SamConfig",
]


class NetworkConfig(Protocol):
    """Fields that the config of every network has."""

    @property
    def name(self) -> str: ...
    @property
    def input_size(self) -> int: ...  # pixels of the input's long side
    @property
    def mask_size(self) -> int: ...  # pixels of the low-res logits' long side


class Network(Protocol):
    """Methods of every network, Segment Anything or the embedded one; each is an `nn.Module`."""

    merges_clicks: bool  # whether it can merge the masks of one click, and is better for it

    @property
    def config(self) -> NetworkConfig: ...
    def preprocess(self, image: Tensor) -> Tensor: ...
    def encode(self, input: Tensor, progress: Progress | None = None) -> tuple[Tensor, ...]: ...
    def decode(
        self, features: tuple[Tensor, ...], prompts: PromptTensors
    ) -> tuple[Tensor, Tensor]: ...

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Self: ...
    def eval(self) -> Self: ...
    def requires_grad_(self, requires_grad: bool = True) -> Self: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any: ...


@dataclass(frozen=True)
class SamConfig:
    """One Segment Anything network: its image encoder, and what all of them share."""

    name: str
    encoder: ViTConfig | TinyViTConfig
    input_size: int = 1024  # pixels of the long side
    stride: int = 16  # pixels of the input to one place of the image embedding
    embedding_dim: int = 256
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)  # ImageNet's, red first
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)

    @property
    def embedding_size(self) -> int:
        """Places along one side of the image embedding."""
        return self.input_size // self.stride

    @property
    def mask_size(self) -> int:
        """Pixels along one side of the low-res logits."""
        return 4 * self.embedding_size


VIT_B = SamConfig("vit_b", ViTConfig(768, depth=12, heads=12, global_blocks=(2, 5, 8, 11)))
VIT_L = SamConfig("vit_l", ViTConfig(1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23)))
VIT_H = SamConfig("vit_h", ViTConfig(1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31)))
VIT_T = SamConfig("vit_t", TinyViTConfig())


class Sam(nn.Module):
    """Segment Anything; parameters are named as the keys of the official checkpoints."""

    merges_clicks = False  # a single click is ambiguous to it, its candidates are the better answer

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        self.config = config
        self.image_encoder = _image_encoder(config)
        self.prompt_encoder = PromptEncoder(
            config.embedding_dim, config.embedding_size, config.input_size
        )
        self.mask_decoder = MaskDecoder(config.embedding_dim)

    def preprocess(self, image: Tensor) -> Tensor:
        """Normalise an image and pad it to a square at its bottom and right.

        Args:
            image: (B, 3, h, w), red first, 0 to 255, its long side already `input_size`.

        Returns:
            the encoder's input (B, 3, S, S).
        """
        mean, std = (
            torch.tensor(values, device=image.device).view(3, 1, 1)
            for values in (self.config.pixel_mean, self.config.pixel_std)
        )
        h, w = image.shape[-2:]
        size = self.config.input_size
        return F.pad((image - mean) / std, (0, size - w, 0, size - h))

    def encode(self, input: Tensor, progress: Progress | None = None) -> tuple[Tensor, ...]:
        """Encode a preprocessed image (B, 3, S, S) to its embedding (B, C, S / 16, S / 16).

        Args:
            input: what `preprocess` returned.
            progress: called as `progress(done, total)` after every block; it may raise to stop.

        Returns:
            the image embedding in single precision, alone in a tuple. The encoder computes in the
            precision of its own parameters.
        """
        encoder_dtype = next(self.image_encoder.parameters()).dtype
        embedding = self.image_encoder(input.to(encoder_dtype), progress)
        return (embedding.float(),)

    def prepare(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Compute once what all prompts in an image share.

        Args:
            features: the image embedding, as `encode` returned it.

        Returns:
            other features for `decode`, in the precision of the image encoder: the embedding place
            by place, its positional encoding, keys and values of the transformer's first layer.
        """
        no_mask = self.prompt_encoder.no_mask_embed.weight
        embedding = features[0].to(no_mask.dtype).permute(0, 2, 3, 1).contiguous()  # (B, h, w, C)
        image_pe = self.prompt_encoder.dense_pe()
        projected = self.mask_decoder.transformer.project(
            (embedding + no_mask).flatten(1, 2), image_pe.flatten(1, 2)
        )
        dtype = next(self.image_encoder.parameters()).dtype
        return tuple(tensor.to(dtype) for tensor in (embedding, image_pe, *projected))

    def decode(self, features: tuple[Tensor, ...], prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Predict the masks of B objects.

        Args:
            features: what `encode` returned, of one image or of B, or what `prepare` made of it.
            prompts: the prompts of the B objects.

        Returns:
            low-res logits (B, 4, 4h, 4w) and IoU predictions (B, 4), for the single mask (index 0)
            and the three candidates for an ambiguous prompt (1 to 3). The logits of objects that
            are not worth a mask, by `least_iou` of their prompts, are 0.
        """
        embedding, image_pe, *projected = self.prepare(features) if len(features) == 1 else features
        sparse, dense = self.prompt_encoder(prompts)
        logits, iou_predictions = self.mask_decoder(
            embedding + dense.to(embedding.dtype),
            image_pe,
            sparse,
            tuple(projected) if prompts.masks is None else None,
            prompts.least_iou,
        )
        return logits, iou_predictions


def _image_encoder(config: SamConfig) -> ImageEncoderViT | TinyViT:
    if isinstance(config.encoder, TinyViTConfig):
        return TinyViT(config.encoder, config.embedding_dim)
    return ImageEncoderViT(config.encoder, config.input_size, config.embedding_dim)
