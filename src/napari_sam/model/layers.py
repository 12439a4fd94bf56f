"""Layers that the image encoders, the prompt encoder and the mask decoder share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TOKENS_AT_ONCE = 1024  # through a perceptron: what lies between its layers is four times as wide
QUERY_ROWS = 256  # a block of 256 x 4096 scores in fp32 is 4 MB: it stays in the cache


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
        parts = tokens.chunk(max(1, len(tokens) // TOKENS_AT_ONCE))
        lin1, lin2 = packed(self.lin1, tokens), packed(self.lin2, tokens)
        projected = [lin2(self.act(lin1(part))) for part in parts]
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


def packed(layer: nn.Linear, x: Tensor) -> Callable[[Tensor], Tensor]:
    """A linear layer for many inputs like x (..., C), its weights in the order oneDNN reads them.

    Ordered anew for every image, which takes a fiftieth of the product, so that they are never in
    memory twice. The layer itself where that brings nothing or PyTorch cannot.
    """
    many = x.numel() >= TOKENS_AT_ONCE * x.shape[-1]
    if not (many and x.device.type == "cpu" and torch.is_inference_mode_enabled()):
        return layer
    if not _can_pack(x.dtype):
        return layer
    return _pack(layer.weight, layer.bias)


def _pack(weight: Tensor, bias: Tensor) -> Callable[[Tensor], Tensor]:
    """PyTorch's own operators for compiled networks; nobody promises that they stay."""
    ordered = torch.ops.mkldnn._reorder_linear_weight(weight)

    def linear(x: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, ordered, bias, "none", [], "")
        return product

    return linear


@cache
def _can_pack(dtype: torch.dtype) -> bool:
    """Whether this PyTorch, on this processor, multiplies packed weights, and rightly."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(32, 32, generator=generator).to(dtype) for _ in range(2))
    bias = x[0].clone()
    try:
        product = _pack(weight, bias)(x)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.allclose(product, F.linear(x, weight, bias), rtol=2e-2, atol=2e-2)


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


class RelativePositionAttention(nn.Module):
    """Multi-head self-attention with decomposed relative position (MViTv2, arXiv:2112.01526).

    A query sees the key `dy` rows and `dx` columns away with the score
    `scale * q.k + q.rel_pos_h[dy] + q.rel_pos_w[dx]`. With a `window_size`, a token sees its own
    window only; otherwise the whole map.
    """

    def __init__(self, dim: int, heads: int, map_size: int, window_size: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.window_size = window_size
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        offsets = 2 * (window_size or map_size) - 1
        self.rel_pos_h = nn.Parameter(torch.zeros(offsets, dim // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(offsets, dim // heads))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to (B, H, W, C)."""
        qkv = packed(self.qkv, x)(x)  # (B, H, W, 3C)
        if self.window_size:
            # On a CPU one row of windows after the other: it stays in the cache
            rows = self.window_size if x.device.type == "cpu" else x.shape[1]
            parts = [qkv[:, y : y + rows] for y in range(0, x.shape[1], rows)]
            attended = torch.cat([self._attend_in_windows(part) for part in parts], 1)
        else:
            attended = self._attend_in_blocks(qkv)
        return packed(self.proj, attended)(attended)

    def _attend_in_windows(self, qkv: Tensor) -> Tensor:
        """Attend inside windows, (B, H, W, 3C) to (B, H, W, C)."""
        # A padding token is zero, so that its query, key and value are the bias itself
        windows = window_partition(qkv, self.window_size, self.qkv.bias)
        attended = self._attend_inside(windows)
        return window_unpartition(attended, self.window_size, (qkv.shape[1], qkv.shape[2]))

    def _attend_inside(self, qkv: Tensor) -> Tensor:
        """Every token attends to all of its own window, (B, N, 3C) to (B, N, C)."""
        b, n, _ = qkv.shape
        q, k, v = qkv.view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, N, d)
        size = (self.window_size, self.window_size)
        to_rows, to_columns = self._relative_scores(q, size)
        bias = (to_rows.unsqueeze(-1) + to_columns.unsqueeze(-2)).flatten(3)  # (B, heads, N, N)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=self.scale)
        return attended.transpose(1, 2).reshape(b, n, -1)

    def _attend_in_blocks(self, qkv: Tensor) -> Tensor:
        """Attend over the whole map, (B, H, W, 3C) to (B, H, W, C).

        Head by head and in blocks of query rows, so that no score matrix (N, N) is ever held.
        """
        b, h, w, _ = qkv.shape
        heads = qkv.view(b, h * w, 3, self.heads, -1).permute(0, 3, 2, 1, 4).flatten(0, 1)
        attended = []
        for q, k, v in heads:  # each (N, d)
            to_rows, to_columns = self._relative_scores(q, (h, w))
            scaled = q * self.scale
            for start in range(0, h * w, QUERY_ROWS):
                block = slice(start, start + QUERY_ROWS)
                bias = to_rows[block].unsqueeze(-1) + to_columns[block].unsqueeze(-2)
                scores = bias.flatten(1).addmm_(scaled[block], k.T)  # (QUERY_ROWS, N)
                attended.append(scores.softmax(-1) @ v)
        out = torch.cat(attended).view(b, self.heads, h, w, -1)
        return out.permute(0, 2, 3, 1, 4).flatten(3)

    def _relative_scores(self, q: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Scores of queries (..., H * W, d) for the rows and for the columns of keys.

        Returns:
            (..., H * W, H) and (..., H * W, W).
        """
        h, w = size
        q_map = q.reshape(*q.shape[:-2], h, w, q.shape[-1])
        rel_h = self.rel_pos_h[_offsets(h, q.device)]  # (H, H, d)
        rel_w = self.rel_pos_w[_offsets(w, q.device)]  # (W, W, d)
        to_rows = torch.einsum("...hwc,hkc->...hwk", q_map, rel_h)
        to_columns = torch.einsum("...hwc,wkc->...hwk", q_map, rel_w)
        return to_rows.flatten(-3, -2), to_columns.flatten(-3, -2)


def _offsets(size: int, device: torch.device) -> Tensor:
    """Index of the relative position between a query (row) and a key (column), (size, size)."""
    places = torch.arange(size, device=device)
    return places[:, None] - places[None, :] + size - 1
