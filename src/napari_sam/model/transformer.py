"""The two-way transformer of the mask decoder: tokens attend to the image, it attends to them."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from .layers import LayerNorm, MLPBlock, matmul


class TwoWayTransformer(nn.Module):
    """Updates the tokens of B objects and, for each, the image embedding (arXiv:2304.02643, A)."""

    def __init__(self, dim: int, depth: int, heads: int, mlp_dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayAttentionBlock(dim, heads, mlp_dim, skip_first_layer_pe=index == 0)
            for index in range(depth)
        )
        self.final_attn_token_to_image = Attention(dim, heads, downsample_rate=2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(
        self,
        image: Tensor,
        image_pe: Tensor,
        tokens: Tensor,
        projected: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run the transformer.

        The image side computes in the precision of `image`, the tokens in that of the parameters.

        Args:
            image: the image embedding with the dense prompt, (B, N_image, C), or (1, N_image, C)
                if it is the same for all objects.
            image_pe: its positional encoding (1, N_image, C).
            tokens: output tokens and sparse prompts (B, N, C).
            projected: what `project` returned for this image, if that is known.

        Returns:
            the tokens (B, N, C) and the image (B, N_image, C).
        """
        queries, keys = tokens, image
        for layer in self.layers:
            queries, keys = layer(queries, keys, tokens, image_pe, projected)
            projected = None  # the image has changed

        # Final attention from the tokens to the image
        attended = self.final_attn_token_to_image.few_to_many(
            q=queries + tokens, k=keys + image_pe, v=keys
        )
        return self.norm_final_attn(queries + attended), keys

    def project(self, image: Tensor, image_pe: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (1, N_image, C / 2) of the first layer: the same for all tokens."""
        attention = cast(TwoWayAttentionBlock, self.layers[0]).cross_attn_token_to_image
        return attention.k_proj(image + image_pe), attention.v_proj(image)


class TwoWayAttentionBlock(nn.Module):
    """Tokens to tokens, tokens to image, perceptron on tokens, image to tokens."""

    def __init__(self, dim: int, heads: int, mlp_dim: int, skip_first_layer_pe: bool) -> None:
        super().__init__()
        self.self_attn = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, heads, downsample_rate=2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLPBlock(dim, mlp_dim, nn.ReLU)
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, heads, downsample_rate=2)
        self.skip_first_layer_pe = skip_first_layer_pe

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        query_pe: Tensor,
        key_pe: Tensor,
        projected: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Queries (B, N, C) and keys (B or 1, N_image, C) to the same, keys for all B objects."""
        # Self-attention; in the first layer the queries are their own positional encoding
        if self.skip_first_layer_pe:
            queries = self.self_attn(q=queries, k=queries, v=queries)
        else:
            placed = queries + query_pe
            queries = queries + self.self_attn(q=placed, k=placed, v=queries)
        queries = self.norm1(queries)

        # Tokens attend to the image
        placed_keys = keys + key_pe
        attention = self.cross_attn_token_to_image
        if projected is None:
            attended = attention.few_to_many(q=queries + query_pe, k=placed_keys, v=keys)
        else:
            attended = attention.attend(attention.q_proj(queries + query_pe), *projected)
        queries = self.norm2(queries + attended)

        queries = self.norm3(queries + self.mlp(queries))

        # The image attends to the tokens
        attended = self.cross_attn_image_to_token.many_to_few(
            q=placed_keys, k=queries + query_pe, v=queries
        )
        keys = self.norm4(attended.add_(keys))
        return queries, keys


class Attention(nn.Module):
    """Multi-head attention whose projections may be narrower than the embedding.

    `few_to_many` and `many_to_few` equal `forward`, but never project the many thousand places of
    an image: as all is linear up to the softmax, the few tokens take over their projections. With
    a token's query q, a place x, keys W x + b, and the shares p that a token takes of each place:

        q (W x + b) = (q W) x + q b        scores: project q back by W, once a token and head
        Σ p (W x + b) = W (Σ p x) + b      values: read the places themselves, project what is read
        W (Σ p v) + b = Σ p (W v) + b      output: project the values of the few, then spread them
    """

    def __init__(self, dim: int, heads: int, downsample_rate: int = 1) -> None:
        super().__init__()
        self.heads = heads
        inner_dim = dim // downsample_rate
        self.scale = (inner_dim // heads) ** -0.5
        self.q_proj = nn.Linear(dim, inner_dim)
        self.k_proj = nn.Linear(dim, inner_dim)
        self.v_proj = nn.Linear(dim, inner_dim)
        self.out_proj = nn.Linear(inner_dim, dim)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries (B, N, C) to keys and values (B, M, C); a batch of 1 serves all B."""
        return self.attend(self.q_proj(q), self.k_proj(k), self.v_proj(v))

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """`forward` after the projections of its inputs, in the precision of the keys."""
        dtype = q.dtype
        q, k, v = (self._separate_heads(x.to(k.dtype)) for x in (q, k, v))
        batch = max(len(q), len(k))
        q, k, v = (x.expand(batch, -1, -1, -1) for x in (q, k, v))  # a view, not a copy
        attended = F.scaled_dot_product_attention(q, k, v).to(dtype)
        return self._join_heads(attended)

    def few_to_many(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """`forward` for tokens q (B, N, C) and places k, v (B or 1, M, C)."""
        q = self._separate_heads(self.q_proj(q))
        shares = self._scores(q, self.k_proj, k).softmax(-1)  # (B, heads, N, M)
        read = matmul(shares.flatten(1, 2), v).to(q.dtype)  # (B, heads * N, C)
        weight = self.v_proj.weight.view(self.heads, -1, v.shape[-1])  # (heads, c, C)
        bias = self.v_proj.bias.view(self.heads, 1, -1)
        return self._join_heads(read.view(*q.shape[:3], read.shape[-1]) @ weight.mT + bias)

    def many_to_few(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """`forward` for places q (B or 1, M, C) and tokens k, v (B, N, C)."""
        k, v = (self._separate_heads(x) for x in (self.k_proj(k), self.v_proj(v)))
        shares = self._scores(k, self.q_proj, q).softmax(2)  # (B, heads, N, M)
        weight = self.out_proj.weight.view(-1, self.heads, v.shape[-1])  # (C, heads, c)
        bias = self.out_proj.bias / self.heads  # the shares of each head sum to one
        written = v @ weight.permute(1, 2, 0) + bias  # (B, heads, N, C)
        return matmul(shares.flatten(1, 2).mT, written.flatten(1, 2).to(q.dtype))

    def _scores(self, tokens: Tensor, projection: nn.Linear, places: Tensor) -> Tensor:
        """Scores (B, heads, N, M) of projected tokens (B, heads, N, c) and `projection(places)`."""
        weight = projection.weight.view(self.heads, tokens.shape[-1], -1)  # (heads, c, C)
        bias = projection.bias.view(self.heads, -1, 1)
        tokens = tokens * self.scale
        rows, shift = ((tokens @ x).flatten(1, 2).to(places.dtype) for x in (weight, bias))
        scores = matmul(rows, places.mT) + shift
        return scores.view(*tokens.shape[:3], scores.shape[-1])

    def _separate_heads(self, x: Tensor) -> Tensor:
        x = x.view(*x.shape[:2], self.heads, x.shape[-1] // self.heads)
        return x.transpose(1, 2)  # (B, heads, N, c)

    def _join_heads(self, attended: Tensor) -> Tensor:
        projected: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))  # (B, N, C)
        return projected
