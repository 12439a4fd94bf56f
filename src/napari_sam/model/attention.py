"""Self-attention with decomposed relative position, each time in the way that is fastest there.

A query sees the key in row `y` and column `x` with the score
`q.k / sqrt(d) + q.rel_h[its row, y] + q.rel_w[its column, x]` (MViTv2, arXiv:2112.01526). The ways
differ in time and memory only. Each takes queries, keys and values (B, heads, N, d) of N = H * W
places and the positions rel_h (H, H, d) and rel_w (W, W, d), and returns (B, heads, N, d).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import packed, window_partition, window_unpartition

Way: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]

QUERY_ROWS = 256  # a block of 256 x 4096 scores in fp32 is 4 MB: it stays in the cache
FLASH_STEP = 8  # CUDA's flash kernel wants heads of a multiple of this


class RelativePositionAttention(nn.Module):
    """Multi-head self-attention on a map (B, H, W, C).

    With a `window_size`, a token sees its own window only; otherwise the whole map.
    """

    def __init__(self, dim: int, heads: int, map_size: int, window_size: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.window_size = window_size
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        offsets = 2 * (window_size or map_size) - 1
        self.rel_pos_h = nn.Parameter(torch.zeros(offsets, dim // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(offsets, dim // heads))
        self.attend: Way = attend_with_bias

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to (B, H, W, C)."""
        qkv = packed(self.qkv, x)  # (B, H, W, C) to (B, H, W, 3C)
        if self.window_size:
            # On a CPU one row of windows after the other: it stays in the cache. A graph has no
            # loops: it would hold each row's steps
            by_rows = x.device.type == "cpu" and not torch.compiler.is_compiling()
            rows = self.window_size if by_rows else x.shape[1]
            parts = (x[:, y : y + rows] for y in range(0, x.shape[1], rows))
            attended = torch.cat([self._attend_in_windows(qkv(part)) for part in parts], 1)
        else:
            attended = self._attend(qkv(x).flatten(1, 2), (x.shape[1], x.shape[2])).view_as(x)
        return packed(self.proj, x)(attended)

    def _attend_in_windows(self, qkv: Tensor) -> Tensor:
        """Every token attends to all of its own window, (B, H, W, 3C) to (B, H, W, C)."""
        # A padding token is zero, so that its query, key and value are the bias itself
        windows = window_partition(qkv, self.window_size, self.qkv.bias)
        attended = self._attend(windows, (self.window_size, self.window_size))
        return window_unpartition(attended, self.window_size, (qkv.shape[1], qkv.shape[2]))

    def _attend(self, qkv: Tensor, size: tuple[int, int]) -> Tensor:
        """Every token of a map of `size` attends to all of them, (B, N, 3C) to (B, N, C)."""
        b, n, _ = qkv.shape
        q, k, v = qkv.view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, N, d)
        rel_h = self.rel_pos_h[_offsets(size[0], q.device)]
        rel_w = self.rel_pos_w[_offsets(size[1], q.device)]
        if not torch.compiler.is_compiling():  # what is compiled stays as it ran last
            self.attend = fastest_way(q, size)
        return self.attend(q, k, v, rel_h, rel_w).transpose(1, 2).reshape(b, n, -1)


def _offsets(size: int, device: torch.device) -> Tensor:
    """Index of the relative position between a query (row) and a key (column), (size, size)."""
    places = torch.arange(size, device=device)
    return places[:, None] - places[None, :] + size - 1


def attend_with_bias(q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """By PyTorch's own attention, with a bias (B, heads, N, N)."""
    to_rows, to_columns = _relative_scores(q, rel_h, rel_w)
    bias = (to_rows.unsqueeze(-1) + to_columns.unsqueeze(-2)).flatten(3)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def attend_in_blocks(q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """Head by head and in blocks of query rows, so that no score matrix (N, N) is ever held.

    All blocks are computed in the same memory: new memory would come in empty pages, which cost
    as much as the sums written into them.
    """
    b, heads, n, d = q.shape
    attended = torch.empty_like(q, memory_format=torch.contiguous_format)
    scores, weights = q.new_empty(2, min(QUERY_ROWS, n), n)
    bias = scores.view(-1, len(rel_h), len(rel_w))
    for head in itertools.product(range(b), range(heads)):
        to_rows, to_columns = _relative_scores(q[head], rel_h, rel_w)
        scaled, keys, values = q[head] * d**-0.5, k[head].contiguous().T, v[head].contiguous()
        for start in range(0, n, QUERY_ROWS):
            block = slice(start, min(start + QUERY_ROWS, n))
            rows = slice(0, block.stop - start)
            torch.add(to_rows[block, :, None], to_columns[block, None], out=bias[rows])
            torch.softmax(scores[rows].addmm_(scaled[block], keys), -1, out=weights[rows])
            torch.mm(weights[rows], values, out=attended[*head, block])
    return attended


def attend_widened(q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """The biases as a part of queries and keys: one product gives all scores (B, heads, N, N)."""
    q, k = _widened(q, k, rel_h, rel_w)
    return (q @ k.mT).softmax(-1) @ v


def attend_by_flash(q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """The same by a kernel that holds no scores; it wants values as wide as queries and keys."""
    wide_q, wide_k = _widened(q, k, rel_h, rel_w)
    width = -(-wide_q.shape[-1] // FLASH_STEP) * FLASH_STEP
    query, key, value = (F.pad(t, (0, width - t.shape[-1])) for t in (wide_q, wide_k, v))
    return F.scaled_dot_product_attention(query, key, value, scale=1.0)[..., : v.shape[-1]]


def _relative_scores(q: Tensor, rel_h: Tensor, rel_w: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of queries (..., N, d) for the rows (..., N, H) and columns (..., N, W) of keys."""
    q_map = q.reshape(*q.shape[:-2], len(rel_h), len(rel_w), q.shape[-1])
    to_rows = torch.einsum("...hwc,hkc->...hwk", q_map, rel_h)
    to_columns = torch.einsum("...hwc,wkc->...hwk", q_map, rel_w)
    return to_rows.flatten(-3, -2), to_columns.flatten(-3, -2)


def _widened(q: Tensor, k: Tensor, rel_h: Tensor, rel_w: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys (B, heads, N, d + H + W) whose product is the whole score.

    A query holds its scores for all rows and columns, a key a one for its own.
    """
    h, w = len(rel_h), len(rel_w)
    row, column = (torch.eye(n, dtype=k.dtype, device=k.device) for n in (h, w))
    place = torch.cat([row.repeat_interleave(w, 0), column.repeat(h, 1)], 1)
    wide_k = torch.cat([k, place.expand(*k.shape[:-1], h + w)], -1)
    wide_q = torch.cat([q * q.shape[-1] ** -0.5, *_relative_scores(q, rel_h, rel_w)], -1)
    return wide_q, wide_k


def fastest_way(q: Tensor, size: tuple[int, int]) -> Way:
    """How queries (B, heads, N, d) are to attend to a map of `size`, on their device.

    What holds on all CPUs measured is known; on a GPU the ways are tried once.
    """
    if q.device.type != "cpu":
        ways = (attend_with_bias, attend_by_flash)
        return measured_fastest(ways, q.device, q.dtype, q.shape, size)
    if torch.is_grad_enabled():
        return attend_with_bias
    if q.shape[2] > QUERY_ROWS:
        return attend_in_blocks
    return attend_widened if q.dtype == torch.bfloat16 else attend_with_bias


@cache
def measured_fastest(
    ways: tuple[Way, ...],
    device: torch.device,
    dtype: torch.dtype,
    shape: tuple[int, int, int, int],
    size: tuple[int, int],
) -> Way:
    """The quickest of some ways for queries of a shape; one that fails there is skipped."""

    def seconds(way: Way) -> float:
        q, k, v = torch.randn(3, *shape, device=device, dtype=dtype)
        rel_h, rel_w = (torch.randn(n, n, shape[-1], device=device, dtype=dtype) for n in size)
        try:
            synchronize = torch.get_device_module(device).synchronize
            way(q, k, v, rel_h, rel_w)
            synchronize()
            start = time.perf_counter()
            way(q, k, v, rel_h, rel_w)
            synchronize()
        except RuntimeError:
            return float("inf")
        return time.perf_counter() - start

    return min(ways, key=seconds)
