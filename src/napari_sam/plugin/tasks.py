"""What runs in a worker's thread: models, embeddings, masks.

torch's number of threads holds only in the thread that sets it, so each task sets its own: one
for the many small steps of a decoder, all cores but one for an encoder.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import EmbeddingCache, FrameIndex, FrameStack, Prompts
from napari_sam.engine import fetch as fetch_model
from napari_sam.session import Answer, Request, decode

from .jobs import Report

if TYPE_CHECKING:
    from napari_sam.engine import CachedEmbedding, Predictor


def load(name_or_path: str, report: Report) -> Predictor:
    """Load a model. torch is imported here, so that the window opens without it."""
    from napari_sam.engine import Predictor, load_model

    return Predictor(load_model(name_or_path))


def fetch(name: str, report: Report) -> None:
    """Fetch a model of the catalogue."""
    fetch_model(name, progress=report)


def embed(
    cache: EmbeddingCache,
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    report: Report,
) -> CachedEmbedding:
    """The embedding of a frame, from the cache or encoded now."""
    use_threads(max(1, (os.cpu_count() or 2) - 1))  # the GUI draws with the one left over
    return cache.embed(predictor, stack, frame, report)


def answer(
    cache: EmbeddingCache,
    predictor: Predictor,
    stack: FrameStack,
    request: Request,
    report: Report,
) -> Answer:
    """Decode a request; its frame is embedded first where that is not done."""
    cached = embed(cache, predictor, stack, request.frame, report)
    use_threads(1)
    return decode(request, predictor, cached)


def preview(
    cache: EmbeddingCache,
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    point_yx: tuple[float, float],
    report: Report,
) -> NDArray[np.bool_]:
    """The mask that one click at ``point_yx`` would give, ``(H, W)``."""
    cached = embed(cache, predictor, stack, frame, report)
    use_threads(1)
    return predictor.predict(cached.embedding, Prompts.from_points([point_yx])).mask()


def use_threads(n: int) -> None:
    """Let torch compute with ``n`` threads in the calling thread."""
    import torch

    torch.set_num_threads(n)
