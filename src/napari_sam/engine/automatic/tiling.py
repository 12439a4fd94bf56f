"""How a frame larger than the network's input is looked at: in which tiles, at which size.

Where nobody says how large cells are, a first look tells: some places are looked at in several
sizes, the objects of all sizes compete as they do in one frame, and those that win tell their size.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import TypeVar

import numpy as np

from napari_sam.engine.crop import is_large
from napari_sam.engine.embeddings.cache import EmbeddingCache
from napari_sam.engine.frames import FrameIndex, FrameStack
from napari_sam.engine.parts import FramePart, is_blank
from napari_sam.engine.predictor import Predictor, Progress
from napari_sam.engine.tiles import Tile, Tiling, Window, fits_at_once, reduction_for

from .deciding import decide_at_once
from .found import FoundObject
from .options import AutomaticOptions, Outline
from .proposing import propose_at_once

Options = TypeVar("Options", bound=AutomaticOptions)

PLACES = 3  # of a first look
FEWEST = 3  # objects whose size tells that of cells
ROOM = 4  # times the input's side: larger cells are not looked for
CLICKS = 16  # of a grid along each side of a first look


def choose_tiling(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    options: AutomaticOptions,
    cache: EmbeddingCache,
) -> Tiling | None:
    """The tiles that a frame is looked at in; ``None`` for one that is looked at as a whole.

    Up to the size of the network's input that is every frame. A larger one is not if its cells are
    so large that the network knows them in the whole frame made smaller, or if the grid has crops
    of its own.
    """
    frame_shape = stack.frame_shape_of(frame)
    input_size = predictor.model.network.config.input_size
    if not is_large(frame_shape, input_size) or options.grid.crop_n_layers:
        return None
    cell_size = options.cell_size or find_cell_size(predictor, stack, frame, options, cache)
    if cell_size is None:
        return None
    reduction = reduction_for(cell_size)
    if fits_at_once(frame_shape, reduction, input_size):
        return None
    return Tiling.of(frame_shape, reduction, input_size)


def tile_parts(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    tiling: Tiling,
    options: AutomaticOptions,
    cache: EmbeddingCache,
    progress: Progress | None = None,
    done: Container[int] = (),
) -> Iterator[tuple[Tile, FramePart]]:
    """The tiles to look in and what they show, each encoded already.

    Progress is told in tiles; what it raises stops the encoder, too. Blank tiles, and those whose
    number is in ``done``, are left out.
    """
    where = (0, 0, *tiling.frame_shape)
    if options.within is not None:
        where = window_around(options.within, tiling.frame_shape)
    tiles = list(tiling.within(where))

    def told(nth: int, *_: int) -> None:
        if progress is not None:
            progress(nth, len(tiles))

    for nth, tile in enumerate(tiles):
        part = FramePart.of(stack, frame, tile.window, tiling.reduction)
        if tile.nth not in done and not is_blank(part, frame):
            cache.embed(predictor, part, frame, partial(told, nth))
            yield tile, part
        told(nth + 1)


def in_tiles(options: Options) -> Options:
    """The options for what is proposed in a tile: all of it, so that a part of the frame has the
    same objects as the whole."""
    return replace(options, within=None)


def window_around(outline: Outline, frame_shape: tuple[int, int]) -> Window:
    """The pixels of a frame that may be inside of an outline."""
    vertices = np.array(outline)
    top, left = np.clip(np.floor(vertices.min(0)), 0, frame_shape).astype(int).tolist()
    bottom, right = np.clip(np.ceil(vertices.max(0)) + 1, 0, frame_shape).astype(int).tolist()
    return top, left, bottom, right


def find_cell_size(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    options: AutomaticOptions,
    cache: EmbeddingCache,
) -> float | None:
    """The median diameter of objects at a few places of a large frame, in pixels.

    Returns
    -------
    ``None`` if there are too few objects to tell.
    """
    frame_shape = stack.frame_shape_of(frame)
    input_size = predictor.model.network.config.input_size
    looking = replace(in_tiles(options), grid=replace(options.grid, points_per_side=CLICKS))
    diameters: list[float] = []
    for place in _places(stack, frame, input_size):
        found: list[FoundObject] = []
        for reduction in _reductions(frame_shape, input_size):
            window = _around(place, round(input_size * reduction), frame_shape)
            part = FramePart.of(stack, frame, window, reduction)
            found += [
                each.moved(*window[:2])
                for each in propose_at_once(predictor, part, frame, looking, cache)
                if each.area and not _is_cut(each.window, window, frame_shape)
            ]
        diameters += _sizes_at(place, found, looking, input_size, frame_shape)
    return float(f"{median(diameters):.2g}") if len(diameters) >= FEWEST else None


def _reductions(frame_shape: tuple[int, int], input_size: int) -> Iterator[float]:
    """Sizes of a first look: the frame's own pixels, half of these, and so on up to all of it."""
    whole = max(frame_shape) / input_size
    for power in range(math.ceil(math.log2(whole))):
        yield 2.0**power
    yield whole


def _sizes_at(
    place: tuple[int, int],
    found: Sequence[FoundObject],
    options: AutomaticOptions,
    input_size: int,
    frame_shape: tuple[int, int],
) -> list[float]:
    """Diameters of those of all sizes that stand, where all sizes have looked."""
    y0, x0, y1, x1 = _around(place, input_size, frame_shape)
    top, left, bottom, right = _around(place, ROOM * input_size, frame_shape)
    shared = [
        each.moved(-top, -left)
        for each in found
        if top <= each.window[0] and each.window[2] <= bottom
        if left <= each.window[1] and each.window[3] <= right
        if y0 <= (each.window[0] + each.window[2]) / 2 < y1
        if x0 <= (each.window[1] + each.window[3]) / 2 < x1
    ]
    decided = decide_at_once(shared, options, (bottom - top, right - left))
    return [2 * math.sqrt(each.area / math.pi) for each in decided if each.dropped is None]


def _is_cut(window: Window, part: Window, frame_shape: tuple[int, int]) -> bool:
    """Whether something in the pixels of a part ends where that ends, inside the frame."""
    top, left, bottom, right = part
    ends = (top > 0, left > 0, bottom < frame_shape[0], right < frame_shape[1])
    edges = (0, 0, bottom - top, right - left)
    return any(at == edge and end for at, edge, end in zip(window, edges, ends, strict=True))


def _around(place: tuple[int, int], side: int, frame_shape: tuple[int, int]) -> Window:
    """A square around a pixel, shifted into the frame."""
    (top, bottom), (left, right) = (
        (start := max(0, min(at - side // 2, size - side)), min(size, start + side))
        for at, size in zip(place, frame_shape, strict=True)
    )
    return top, left, bottom, right


def _places(stack: FrameStack, frame: FrameIndex, input_size: int) -> list[tuple[int, int]]:
    """The middles of the parts of a frame in which there is most to see."""
    frame_shape = stack.frame_shape_of(frame)
    seen = []
    for tile in _spread(frame_shape, input_size):
        part = FramePart.of(stack, frame, tile, 1.0)
        y0, x0, y1, x1 = tile
        seen.append((float(part.frame(frame).std()), ((y0 + y1) // 2, (x0 + x1) // 2)))
    return [place for _, place in sorted(seen, reverse=True)[:PLACES]]


def _spread(frame_shape: tuple[int, int], side: int, most: int = 6) -> Iterator[Window]:
    """Windows spread evenly over a frame, at most so many along an axis."""
    counts = [min(most, math.ceil(size / side)) for size in frame_shape]
    for row in range(counts[0]):
        for column in range(counts[1]):
            place = [
                int((at + 0.5) * size / n)
                for at, n, size in zip((row, column), counts, frame_shape, strict=True)
            ]
            yield _around((place[0], place[1]), side, frame_shape)
