"""The two-way transformer of the mask decoder: tokens attend to the image, it attends to them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .layers import MLPBlock


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

    def forward(self, image: Tensor, image_pe: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Run the transformer.

        Args:
            image: the image embedding with the dense prompt, (B, N_image, C), or (1, N_image, C)
                as long as it is the same for all objects.
            image_pe: its positional encoding (1, N_image, C).
            tokens: output tokens and sparse prompts (B, N, C).

        Returns:
            the tokens (B, N, C) and the image (B, N_image, C).
        """
        queries, keys = tokens, image
        for layer in self.layers:
            queries, keys = layer(queries, keys, query_pe=tokens, key_pe=image_pe)

        # Final attention from the tokens to the image
        attended = self.final_attn_token_to_image(q=queries + tokens, k=keys + image_pe, v=keys)
        return self.norm_final_attn(queries + attended), keys


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
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, heads, downsample_rate=2)
        self.skip_first_layer_pe = skip_first_layer_pe

    def forward(
        self, queries: Tensor, keys: Tensor, query_pe: Tensor, key_pe: Tensor
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
        attended = self.cross_attn_token_to_image(q=queries + query_pe, k=placed_keys, v=keys)
        queries = self.norm2(queries + attended)

        queries = self.norm3(queries + self.mlp(queries))

        # The image attends to the tokens
        attended = self.cross_attn_image_to_token(q=placed_keys, k=queries + query_pe, v=queries)
        keys = self.norm4(keys + attended)
        return queries, keys


class Attention(nn.Module):
    """Multi-head attention whose projections may be narrower than the embedding."""

    def __init__(self, dim: int, heads: int, downsample_rate: int = 1) -> None:
        super().__init__()
        self.heads = heads
        inner_dim = dim // downsample_rate
        self.q_proj = nn.Linear(dim, inner_dim)
        self.k_proj = nn.Linear(dim, inner_dim)
        self.v_proj = nn.Linear(dim, inner_dim)
        self.out_proj = nn.Linear(inner_dim, dim)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries (B, N, C) to keys and values (B, M, C); a batch of 1 serves all B."""
        q = self._separate_heads(self.q_proj(q))
        k = self._separate_heads(self.k_proj(k))
        v = self._separate_heads(self.v_proj(v))
        batch = max(len(q), len(k))
        q, k, v = (x.expand(batch, -1, -1, -1) for x in (q, k, v))  # a view, not a copy
        attended = F.scaled_dot_product_attention(q, k, v)
        projected: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return projected

    def _separate_heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)  # (B, heads, N, c)
