"""All objects of a frame: the embedding, the proposals of a method, and which of them stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.embeddings.cache import EmbeddingCache
from napari_sam.engine.errors import PromptError, SamError
from napari_sam.engine.frames import FrameIndex, FrameStack
from napari_sam.engine.masks import polygon_mask
from napari_sam.engine.predictor import Predictor, Progress
from napari_sam.model import Network, Pocket

from .deciding import decide
from .found import FoundObject
from .grid import propose_grid
from .options import AutomaticOptions, Outline
from .seeds import propose_seeds


def find_objects(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    options: AutomaticOptions | None = None,
    *,
    annotated: NDArray[np.integer] | None = None,
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
    method = choose_method(options, predictor.model.network)
    if options.within is not None:
        _check_inside(options.within, stack.frame_shape_of(frame))
    propose_by = propose_grid if method == "grid" else propose_seeds
    shown: NDArray[np.uint8] | None = None
    for found in propose_by(predictor, stack, frame, options, cache, progress):
        if shown is None and found.area:
            shown = stack.frame(frame)
        yield found if shown is None else found.seen_in(shown, stack.frame_shape_of(frame))


def _check_inside(outline: Outline, frame_shape: tuple[int, int]) -> None:
    """Refuse a part to look in that holds no pixel: nothing found there would mean nothing."""
    if not polygon_mask(np.array(outline), frame_shape).any():
        height, width = frame_shape
        raise PromptError(
            "The part of the frame to look in holds no pixel of it: the frame has "
            f"{height} × {width} pixels (y, x). Draw it over the image."
        )


def choose_method(options: AutomaticOptions, network: Network) -> Literal["grid", "seeds"]:
    """The method asked for, or the better one that a network can.

    Raises
    ------
    SamError
        If seeds were asked for, and the network maps no objects.
    """
    has_maps = isinstance(network, Pocket) and network.maps is not None
    if options.method == "seeds" and not has_maps:
        raise SamError(
            f"The model {network.config.name} maps no objects, so it has no seeds to begin from. "
            "Choose the method grid, or the embedded model pocket."
        )
    return "seeds" if has_maps and options.method != "grid" else "grid"
