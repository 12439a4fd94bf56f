"""A small picture of an image and its objects, for the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam.engine import FrameStack, Labelled, overlay

LONG_SIDE = 320  # pixels


def preview(objects: Labelled, stack: FrameStack) -> Image.Image:
    """The first frame with objects, in small, tinted and outlined."""
    frames = ((at, pixels) for at, pixels in objects.frames() if pixels.any())
    return tinted(stack, *next(frames, next(objects.frames())))


def tinted(stack: FrameStack, at: Sequence[int], labels: NDArray[np.integer]) -> Image.Image:
    """A frame in small with its labels, of which a coarse level will do."""
    shown = Image.fromarray(stack.frame(stack.index(*at)))
    shown.thumbnail((LONG_SIDE, LONG_SIDE))
    rows, columns = (
        (np.arange(small) + 0.5) * full // small
        for small, full in zip((shown.height, shown.width), labels.shape, strict=True)
    )
    small = labels[np.ix_(rows.astype(int), columns.astype(int))]
    return Image.fromarray(overlay(np.asarray(shown), small))
