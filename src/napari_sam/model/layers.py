"""Layers that the image encoders, the prompt encoder and the mask decoder share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from types import NoneType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TOKENS_AT_ONCE = 1024  # through a perceptron: what is between its layers is four times as wide
FUSED: dict[type, str] = {NoneType: "none", nn.GELU: "gelu", nn.ReLU: "relu"}  # oneDNN's names


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of a map (B, C, H, W)."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)  # (B, H, W, C)
        x = F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)  # (B, C, H, W)


class LayerNorm(nn.LayerNorm):
    """Layer normalisation in the precision of what it normalises; its statistics are in single."""

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        return F.layer_norm(x, self.normalized_shape, weight, bias, self.eps)


class MLPBlock(nn.Module):
    """The two-layer perceptron of a transformer block, (..., C) to (..., C)."""

    def __init__(self, dim: int, hidden_dim: int, activation: type[nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, hidden_dim)
        self.lin2 = nn.Linear(hidden_dim, dim)
        self.act = activation()

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(0, -2)
        parts = tokens.tensor_split(max(1, tokens.shape[0] // TOKENS_AT_ONCE))
        lin1, lin2 = packed(self.lin1, tokens, self.act), packed(self.lin2, tokens)
        projected = [lin2(lin1(part)) for part in parts]
        return torch.cat(projected).view_as(x)


class MLP(nn.Module):
    """A perceptron with ReLU between its layers, (..., dims[0]) to (..., dims[-1])."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(dims))

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            x = F.relu(layer(x))
        projected: Tensor = last(x)
        return projected


def packed(
    layer: nn.Linear, x: Tensor, activation: nn.Module | None = None
) -> Callable[[Tensor], Tensor]:
    """A linear layer for many inputs like x (..., C), its weights in the order oneDNN reads them.

    Ordered again for every image, which takes a fiftieth of the product, so that they are never in
    memory twice. The layer itself, then the activation, where that brings nothing or PyTorch
    cannot.
    """
    many = x.numel() >= TOKENS_AT_ONCE * x.shape[-1]
    is_inference = x.device.type == "cpu" and torch.is_inference_mode_enabled()
    if many and is_inference and type(activation) in FUSED and _can_pack(x.dtype):
        return _pack(layer.weight, layer.bias, FUSED[type(activation)])
    return layer if activation is None else nn.Sequential(layer, activation)


def _pack(weight: Tensor, bias: Tensor, activation: str) -> Callable[[Tensor], Tensor]:
    """PyTorch's own operators for compiled networks; nobody promises that they stay."""
    ordered = torch.ops.mkldnn._reorder_linear_weight(weight)

    def linear(x: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, ordered, bias, activation, [], "none")
        return out

    return linear


@cache
def _can_pack(dtype: torch.dtype) -> bool:
    """Whether this PyTorch, on this processor, multiplies packed weights, and rightly."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(32, 32, generator=generator).to(dtype) for _ in range(2))
    bias = x[0].clone()
    expected = F.linear(x, weight, bias)
    for activation, fused in FUSED.items():
        try:
            product = _pack(weight, bias, fused)(x)
        except (AttributeError, RuntimeError, TypeError):
            return False
        wanted = expected if activation is NoneType else activation()(expected)
        if not torch.allclose(product, wanted, rtol=2e-2, atol=2e-2):
            return False
    return True


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Products of matrices (B or 1, M, K) and (B or 1, K, N); on a CPU, single ones are faster."""
    if len(a) == len(b) == 1:
        return (a[0] @ b[0]).unsqueeze(0)
    return a @ b


def window_partition(x: Tensor, window_size: int, padding: Tensor) -> Tensor:
    """Cut a map into square windows, padded at its bottom and right.

    Args:
        x: the map (B, H, W, C).
        window_size: side of a window, in tokens.
        padding: what a token outside the map holds (C,).

    Returns:
        the windows (B * windows, window_size ** 2, C), row by row.
    """
    b, h, w, c = x.shape
    rows, columns = -(-h // window_size), -(-w // window_size)
    padded_h, padded_w = rows * window_size, columns * window_size
    if (padded_h, padded_w) != (h, w):
        padded = padding.expand(b, padded_h, padded_w, c).clone()
        padded[:, :h, :w] = x
        x = padded
    x = x.view(b, rows, window_size, columns, window_size, c).transpose(2, 3)
    return x.reshape(b * rows * columns, window_size**2, c)


def window_unpartition(windows: Tensor, window_size: int, size: tuple[int, int]) -> Tensor:
    """Put windows (B * windows, window_size ** 2, C) together to the map (B, H, W, C) of `size`."""
    h, w = size
    rows, columns = -(-h // window_size), -(-w // window_size)
    x = windows.view(-1, rows, columns, window_size, window_size, windows.shape[-1])
    x = x.transpose(2, 3).reshape(-1, rows * window_size, columns * window_size, x.shape[-1])
    return x[:, :h, :w]
