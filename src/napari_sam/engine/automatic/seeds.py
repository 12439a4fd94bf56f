"""One click for each object that the network maps."""

from __future__ import annotations

from collections.abc import Iterator

from napari_sam.engine.embeddings.cache import EmbeddingCache
from napari_sam.engine.frames import FrameIndex, FrameStack
from napari_sam.engine.predictor import Predictor, Progress

from .found import FoundObject
from .grid import propose_grid
from .options import AutomaticOptions


def propose_seeds(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    options: AutomaticOptions,
    cache: EmbeddingCache,
    progress: Progress | None = None,
) -> Iterator[FoundObject]:
    """Decode the seeds of a frame, as `propose` has it."""
    return propose_grid(predictor, stack, frame, options, cache, progress)
