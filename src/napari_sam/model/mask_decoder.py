"""The mask decoder: image embedding and prompts to mask logits and IoU predictions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import MLP, LayerNorm
from .transformer import TwoWayTransformer

MASK_TOKENS = 4  # the single mask, then three candidates: whole, part, subpart


class MaskDecoder(nn.Module):
    """Predicts four masks an object, each with its IoU prediction."""

    def __init__(self, embedding_dim: int) -> None:
        super().__init__()
        dim = embedding_dim
        self.transformer = TwoWayTransformer(dim, depth=2, heads=8, mlp_dim=2048)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(MASK_TOKENS, dim)
        self.output_upscaling = nn.Sequential(
            UpscalePlaces(dim, dim // 4),
            LayerNorm(dim // 4, eps=1e-6),
            nn.GELU(),
            UpscalePlaces(dim // 4, dim // 8),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP((dim, dim, dim, dim // 8)) for _ in range(MASK_TOKENS)
        )
        self.iou_prediction_head = MLP((dim, 256, 256, MASK_TOKENS))

    def forward(
        self,
        image: Tensor,
        image_pe: Tensor,
        sparse: Tensor,
        projected: tuple[Tensor, Tensor] | None = None,
        least_iou: float | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Predict the masks of B objects.

        Args:
            image: the image embedding with the dense prompt, (B or 1, h, w, C). What concerns its
                places is computed in its precision, the rest in that of the parameters.
            image_pe: its positional encoding (1, h, w, C).
            sparse: embeddings of points and boxes (B, N, C).
            projected: what the transformer's `project` returned for this image, if known.
            least_iou: objects none of whose three candidates has such an IoU prediction get no
                masks: their logits are 0.

        Returns:
            low-res logits (B, 4, 4h, 4w) and IoU predictions (B, 4).
        """
        # Output tokens before the prompt's own
        output_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([output_tokens.expand(len(sparse), -1, -1), sparse], dim=1)

        # Run the transformer on tokens and places of the image
        h, w = image.shape[1:3]
        image, image_pe = image.flatten(1, 2), image_pe.flatten(1, 2)  # (B or 1, hw, C)
        tokens, image = self.transformer(image, image_pe, tokens, projected)
        iou_token, mask_tokens = tokens[:, 0], tokens[:, 1 : 1 + MASK_TOKENS]

        # Predict the quality of each mask
        iou_predictions = self.iou_prediction_head(iou_token)

        # Upscale the image side and turn each mask token into a 1x1 convolution; object by object,
        # since this is 16 times as many pixels as places
        hypernetworks = zip(self.output_hypernetworks_mlps, mask_tokens.unbind(1), strict=True)
        kernels = torch.stack([mlp(token) for mlp, token in hypernetworks], dim=1)  # (B, 4, C / 8)
        if least_iou is None:
            logits = torch.stack([self._logits(*each) for each in zip(image, kernels, strict=True)])
        else:
            logits = image.new_zeros(*kernels.shape[:2], 16 * h * w, dtype=torch.float32)
            for nth in (iou_predictions[:, 1:] >= least_iou).any(1).nonzero()[:, 0].tolist():
                logits[nth] = self._logits(image[nth], kernels[nth])
        return _to_pixels(logits, h, w), iou_predictions

    def _logits(self, image: Tensor, kernels: Tensor) -> Tensor:
        """Logits (4, hw * 16) of one object, from its image (hw, C) and kernels (4, C / 8)."""
        upscaled = self.output_upscaling(image)  # (hw, 2, 2, 2, 2, C / 8)
        logits: Tensor = kernels.to(image.dtype) @ upscaled.flatten(0, -2).T
        return logits.float()


class UpscalePlaces(nn.Module):
    """A transposed convolution of kernel and stride 2, (..., C) to (..., 2, 2, C').

    Its kernels don't overlap: each place becomes 2 x 2 pixels, so that it is a linear layer.
    """

    def __init__(self, dim: int, out_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim, out_dim, 2, 2))
        self.bias = nn.Parameter(torch.zeros(out_dim))
        nn.init.kaiming_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.permute(2, 3, 1, 0).flatten(0, 2)  # (4 C', C)
        pixels = F.linear(x, weight.to(x.dtype), self.bias.repeat(4).to(x.dtype))
        return pixels.view(*x.shape[:-1], 2, 2, -1)


def _to_pixels(logits: Tensor, h: int, w: int) -> Tensor:
    """Put the 4 x 4 pixels of each place where they belong: (B, M, hw * 16) to (B, M, 4h, 4w)."""
    places = logits.view(*logits.shape[:2], h, w, 2, 2, 2, 2)  # y and x of halves, of quarters
    pairs = torch.view_as_complex(places)  # copied as one number: ten times faster
    rows_first = pairs.permute(0, 1, 2, 4, 6, 3, 5).contiguous()  # (B, M, h, 2, 2, w, 2)
    return torch.view_as_real(rows_first).view(*logits.shape[:2], 4 * h, 4 * w)
