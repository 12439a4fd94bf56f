"""What may be an object in what was encoded at once: the proposals of a method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.embeddings.cache import EmbeddingCache
from napari_sam.engine.errors import SamError
from napari_sam.engine.frames import FrameIndex, FrameStack
from napari_sam.engine.predictor import Predictor, Progress
from napari_sam.model import Network, Pocket

from .found import FoundObject
from .grid import propose_grid
from .options import AutomaticOptions
from .seeds import propose_seeds


def propose_at_once(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    options: AutomaticOptions,
    cache: EmbeddingCache,
    progress: Progress | None = None,
) -> Iterator[FoundObject]:
    """What may be an object in a frame, or in a part of one, that is encoded as a whole."""
    method = choose_method(options, predictor.model.network)
    propose_by = propose_grid if method == "grid" else propose_seeds
    shown: NDArray[np.uint8] | None = None
    for found in propose_by(predictor, stack, frame, options, cache, progress):
        if shown is None and found.area:
            shown = stack.frame(frame)
        yield found if shown is None else found.seen_in(shown, stack.frame_shape_of(frame))


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
