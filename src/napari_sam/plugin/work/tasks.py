"""Tasks of a worker's thread: models, embeddings, masks.

torch's number of threads holds only in the thread that sets it, so each task sets its own: one
for the many small steps of a decoder, all cores but one for an encoder.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_sam.engine import (
    Box,
    Crop,
    EmbeddingCache,
    FrameIndex,
    FrameStack,
    Prompts,
    crops_to_look_at,
    whole,
)
from napari_sam.engine import embed_all as embed_frames
from napari_sam.engine import fetch as fetch_model
from napari_sam.session import Answer, Propagated, Region, Request, decode
from napari_sam.stacks import LinkRules, Links, Plan, find_links
from napari_sam.stacks.propagation import propagate as propagate_frames

from .jobs import Report

if TYPE_CHECKING:
    from napari_sam.engine import CachedEmbedding, Predictor


def load_libraries(report: Report) -> None:
    """Import what layers and embeddings on disk need. The window would stand still meanwhile."""
    for name in ("pandas", "zarr", "napari_sam.engine.embeddings.store"):
        import_module(name)


def load(name_or_path: str, report: Report) -> Predictor:
    """Load a model. torch is imported here, so that the window opens without it."""
    import torch

    from napari_sam.engine import Predictor, load_model

    with torch.inference_mode(mode=False):  # also where an encoder makes way for it
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
    crop: Crop | None = None,
) -> CachedEmbedding:
    """The embedding of a frame, or of a crop of it, from the cache or encoded now."""
    return cache.embed(predictor, stack, frame, encoding(report), crop)


def embed_all(
    cache: EmbeddingCache,
    predictor: Predictor,
    stack: FrameStack,
    pending: list[FrameIndex],
    total: int,
    report: Report,
    crop: Crop | None = None,
) -> None:
    """Embed many frames, or the same crop of all, and keep them on disk.

    Finished frames leave ``pending``, so that a new run resumes there. It
    reports in hundredths of a frame, of ``total`` frames.
    """
    report = encoding(report)

    def progress(block: int, n_blocks: int) -> None:
        report(100 * (total - len(pending)) + 100 * block // n_blocks, 100 * total)

    for done in embed_frames(cache, predictor, stack, tuple(pending), progress, crop):
        pending.remove(done.index)
        progress(0, 1)


def answer(
    cache: EmbeddingCache,
    predictor: Predictor,
    stack: FrameStack,
    request: Request,
    report: Report,
) -> Answer:
    """Decode a request; its frame is embedded first where that is not done."""

    def embedded(crop: Crop | None) -> CachedEmbedding:
        cached = embed(cache, predictor, stack, request.frame, report, crop)
        use_threads(1)
        return cached

    return decode(request, predictor, embedded, stack)


def preview(
    cache: EmbeddingCache,
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    point_yx: tuple[float, float],
    diameter: float | None,
    seen: Box | None,
    report: Report,
) -> Region:
    """The mask that one click at ``point_yx`` would give, in the first crop that is looked at."""
    prompts = Prompts.from_points([point_yx])
    frame_shape = stack.frame_shape_of(frame)
    crops = crops_to_look_at(prompts, frame_shape, diameter, seen)
    cached = embed(cache, predictor, stack, frame, report, next(iter(crops), None))
    use_threads(1)
    crop = cached.crop or whole(frame_shape)
    mask = predictor.predict(cached.embedding, prompts.within(crop), diameter=diameter).mask()
    return Region.from_mask(mask, crop.top, crop.left)


def propagate(
    plan: Plan, cache: EmbeddingCache, predictor: Predictor, stack: FrameStack, report: Report
) -> Iterator[Propagated]:
    """Propagate objects from frame to frame; the job's ``each`` gets them one by one."""
    return propagate_frames(plan, stack, predictor, cache, encoding(report))


def link(
    labels: Any,
    frame: FrameIndex,
    axis: int | None,
    first_id: int,
    parents: Mapping[int, tuple[int, ...]],
    report: Report,
    rules: LinkRules | None = None,
    among: Collection[int] | None = None,
) -> Links:
    """Link the labels of all frames into tracks. Numbers from ``first_id`` on are free."""
    return find_links(
        labels, frame, axis, first_id, rules, progress=report, parents=parents, among=among
    )


def encoding(report: Report) -> Report:
    """Have an encoder's threads now, and again after each report, in which others may have run."""
    use_threads(n_encoder_threads())

    def report_and_go_on(done: int, total: int) -> None:
        report(done, total)
        use_threads(n_encoder_threads())

    return report_and_go_on


def n_encoder_threads() -> int:
    """All cores but one, with which the GUI draws."""
    return max(1, (os.cpu_count() or 2) - 1)


def use_threads(n: int) -> None:
    """Let torch compute with ``n`` threads in the calling thread."""
    import torch

    torch.set_num_threads(n)
