"""Blocks of an image encoder put through PyTorch's compiler, for runs long enough to pay for it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


def compile_blocks(encoder: nn.Module) -> None:
    """Have the blocks of a ViT encoder compiled when the second image comes; it takes a minute.

    If the compiler is missing or fails, they run uncompiled. Other encoders are not changed.
    """
    for block in getattr(encoder, "blocks", ()):
        block.forward = CompiledBlock(block.forward)


class CompiledBlock:
    """A block, run as it is for the first image: it finds its fastest way to attend there."""

    def __init__(self, plain: Callable[[Tensor], Tensor]) -> None:
        self.plain = plain
        self.compiled: Callable[[Tensor], Tensor] | None = torch.compile(plain)
        self.has_run = False

    def __call__(self, x: Tensor) -> Tensor:
        """As the block itself, (B, H, W, C) to (B, H, W, C)."""
        if self.has_run and self.compiled is not None:
            try:
                return self.compiled(x)
            except (RuntimeError, ImportError, OSError) as error:  # any error of a compiler
                log.info("torch.compile failed, the encoder runs without it: %s", error)
                self.compiled = None
        self.has_run = True
        return self.plain(x)
