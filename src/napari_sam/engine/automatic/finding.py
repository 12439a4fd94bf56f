"""All objects of a frame: the proposals of a method, and which of them stand.

A frame larger than the network's input is looked at in tiles, so that its cells have a size that
the network knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from napari_sam.engine.embeddings.cache import EmbeddingCache
from napari_sam.engine.errors import PromptError
from napari_sam.engine.frames import FrameIndex, FrameStack
from napari_sam.engine.masks import polygon_mask
from napari_sam.engine.predictor import Predictor, Progress

from .found import Annotated, FoundObject
from .joining import decide
from .options import AutomaticOptions, Outline
from .proposing import choose_method, propose_at_once
from .tiling import choose_tiling, in_tiles, tile_parts, window_around


def find_objects(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    options: AutomaticOptions | None = None,
    *,
    annotated: Annotated | None = None,
    cache: EmbeddingCache | None = None,
    progress: Progress | None = None,
) -> Iterator[FoundObject]:
    """Find all objects of one frame.

    Parameters
    ----------
    annotated
        Object ids ``(H, W)``: what is labelled already. Nothing is found there.
    cache
        Where the frame's embedding is found and kept; by default for this call.
    progress
        Called as ``progress(done, total)`` in hundredths of the frame. What it raises stops the
        work.

    Yields
    ------
    Every proposal, those that stand and those that were dropped, which say why.

    Raises
    ------
    SamError
        If the model cannot do it by the method asked for.
    """
    options = options or AutomaticOptions()
    found = list(propose(predictor, stack, frame, options, cache=cache, progress=progress))
    yield from decide(found, options, stack.frame_shape_of(frame), annotated)


def propose(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    options: AutomaticOptions | None = None,
    *,
    cache: EmbeddingCache | None = None,
    progress: Progress | None = None,
) -> Iterator[FoundObject]:
    """What may be an object in a frame, as `find_objects` has it, before anything is decided.

    Kept by who may want to filter otherwise: `decide` needs no network.
    """
    options = options or AutomaticOptions()
    cache = EmbeddingCache() if cache is None else cache
    choose_method(options, predictor.model.network)
    frame_shape = stack.frame_shape_of(frame)
    if options.within is not None:
        _check_inside(options.within, frame_shape)
    tiling = choose_tiling(predictor, stack, frame, options, cache)
    if tiling is None:
        yield from propose_at_once(predictor, stack, frame, options, cache, progress)
        return
    for tile, part in tile_parts(predictor, stack, frame, tiling, options, cache, progress):
        for found in propose_at_once(predictor, part, frame, in_tiles(options), cache):
            yield replace(found.moved(*tile.window[:2]), tile=tile)


def _check_inside(outline: Outline, frame_shape: tuple[int, int]) -> None:
    """Refuse a part to look in that holds no pixel: nothing found there would mean nothing."""
    y0, x0, y1, x1 = window_around(outline, frame_shape)
    moved = np.array(outline) - (y0, x0)
    if y1 <= y0 or x1 <= x0 or not polygon_mask(moved, (y1 - y0, x1 - x0)).any():
        height, width = frame_shape
        raise PromptError(
            "The part of the frame to look in holds no pixel of it: the frame has "
            f"{height} × {width} pixels (y, x). Draw it over the image."
        )
