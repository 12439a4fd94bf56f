"""A network whose masks lie around their clicks, as those of a trained one do, for ours and theirs.

With noise for weights every mask covers the frame, and a box says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.engine import LoadedModel, Predictor
from napari_sam.model import PromptTensors
from oracles import SMALL, reference_sam

RADII = (8.0, 5.0, 9.0, 14.0)  # low-res pixels
SIZE, MASK_SIZE = SMALL.input_size, SMALL.mask_size


def embed(input: Tensor) -> Tensor:
    """The image in small, (1, 3, m, m)."""
    return F.adaptive_avg_pool2d(input, MASK_SIZE)


def decode(image: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Around clicks (B, 1, 2), x and y in input pixels, what looks like the pixel under them."""
    low = points[:, 0].float() * MASK_SIZE / SIZE
    at = low.long().clamp(0, MASK_SIZE - 1)
    clicked = image[0, :, at[:, 1], at[:, 0]].T[..., None, None]  # (B, 3, 1, 1)
    unlike = (image - clicked).abs().mean(1)  # (B, m, m)
    ys, xs = torch.meshgrid(torch.arange(MASK_SIZE), torch.arange(MASK_SIZE), indexing="ij")
    distance = torch.hypot(ys - low[:, 1, None, None], xs - low[:, 0, None, None])
    beyond = (distance[:, None] - torch.tensor(RADII)[:, None, None]).clamp(min=0)
    logits = 12 - 20 * unlike[:, None] - 6 * beyond
    tints = torch.tensor([[1.0, 0, 0], [1.0, 0.5, 0], [0, 1.0, 0.5], [-0.5, 0, 1.0]])
    return logits, (clicked.flatten(1) @ tints.T + 1).sigmoid()


class LocalMasks(nn.Module):
    """Ours."""

    merges_clicks = False
    config = SMALL
    preprocess = staticmethod(partial(reference_sam(SMALL).preprocess))

    def encode(
        self, input: Tensor, progress: Callable[[int, int], None] | None = None
    ) -> tuple[Tensor, ...]:
        return (embed(input),)

    def decode(self, features: tuple[Tensor, ...], prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        return decode(features[0], prompts.points)


class _Encoder(nn.Module):
    img_size = SIZE

    def forward(self, input: Tensor) -> Tensor:
        return embed(input)


class _PromptEncoder(nn.Module):
    def forward(
        self, points: tuple[Tensor, Tensor], boxes: None, masks: None
    ) -> tuple[Tensor, Tensor]:
        return points[0], torch.zeros(())

    def get_dense_pe(self) -> Tensor:
        return torch.zeros(())


class _Decoder(nn.Module):
    def forward(
        self, image_embeddings: Tensor, sparse_prompt_embeddings: Tensor, **_: object
    ) -> tuple[Tensor, Tensor]:
        logits, iou_predictions = decode(image_embeddings, sparse_prompt_embeddings)
        return logits[:, 1:], iou_predictions[:, 1:]


def predictor() -> Predictor:
    """Ours, ready to predict."""
    return Predictor(LoadedModel(LocalMasks(), "local", "0", torch.device("cpu"), "fp32"))


def reference() -> nn.Module:
    """Theirs: segment-anything's Sam with the same encoder and decoder."""
    sam = reference_sam(SMALL)
    sam.image_encoder, sam.prompt_encoder = _Encoder(), _PromptEncoder()
    sam.mask_decoder = _Decoder()
    return sam
