"""Pixels that are positions in a palette, as colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .lazy import Lazy


@dataclass(frozen=True, eq=False)
class Coloured(Lazy):
    """An array of positions in a palette ``(…)``, seen as its colours ``(…, 3)`` uint8."""

    positions: Any
    colours: NDArray[np.uint8]  # (n, 3)

    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the positions, and three colours."""
        return *self.positions.shape, 3

    @property
    def ndim(self) -> int:
        """Number of axes, that of colours included."""
        return len(self.shape)

    @property
    def chunks(self) -> tuple[int, ...]:
        """What is read at once."""
        return *(getattr(self.positions, "chunks", None) or self.positions.shape), 3

    def __getitem__(self, where: Any) -> NDArray[np.uint8]:
        keys = where if isinstance(where, tuple) else (where,)
        has_gap = any(key is Ellipsis for key in keys)
        if has_gap or len(keys) < self.ndim:
            gap = [n for n, key in enumerate(keys) if key is Ellipsis] or [len(keys)]
            rest = keys[gap[0] + 1 :]
            filled = (slice(None),) * (self.ndim - gap[0] - len(rest))
            keys = (*keys[: gap[0]], *filled, *rest)
        positions = np.asarray(self.positions[keys[:-1]])
        shown = self.colours[np.minimum(positions, len(self.colours) - 1)]
        coloured: NDArray[np.uint8] = shown[..., keys[-1]]
        return coloured


def colours_of(colormap: Any) -> NDArray[np.uint8]:
    """A TIFF's palette ``(3, n)`` of 16 bit as ``(n, 3)`` uint8.

    Some programs write 8 bit there; libtiff tells them by the same rule.
    """
    palette = np.asarray(colormap).T
    return (palette >> 8 if palette.max(initial=0) > 255 else palette).astype(np.uint8)
