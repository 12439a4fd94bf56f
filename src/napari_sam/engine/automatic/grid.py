"""A grid of clicks over a frame, and over parts of it: Segment Anything's automatic masks.

Kirillov et al. 2023, arXiv:2304.02643, appendix B. The order of things, the thresholds and what is
rounded are those of segment-anything 1.0's generator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np

from napari_sam.engine.embeddings.cache import EmbeddingCache
from napari_sam.engine.frames import FrameIndex, FrameStack
from napari_sam.engine.masks import polygon_mask
from napari_sam.engine.predictor import Embedding, Predictor, Progress
from napari_sam.engine.prompts import Point
from napari_sam.engine.tiles import Window

from .decoding import Place, Worth, decode_points
from .found import FoundObject
from .options import AutomaticOptions, GridRules

INSIDE = 0.501  # of the last pixel, whose outer edge is half a pixel from its centre


class Crop(NamedTuple):
    """A part of the frame that is encoded by itself."""

    window: Window | None  # None: the whole frame
    shape: tuple[int, int]
    points: list[Point]  # yx in its pixels


def propose_grid(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    options: AutomaticOptions,
    cache: EmbeddingCache,
    progress: Progress | None = None,
) -> Iterator[FoundObject]:
    """Decode a grid of clicks in a frame, as `propose` has it."""
    frame_shape = stack.frame_shape_of(frame)
    crops = list(_crops(frame_shape, options))
    rules = options.grid
    worth = Worth("grid", *options.floors("grid"), rules.stability_score_offset)
    n_points = sum(len(crop.points) for crop in crops)
    done = 0
    for crop in crops:
        embedding = _embed(predictor, stack, frame, cache, crop.window)
        place = Place(frame_shape, crop.window)
        for found in decode_points(
            predictor, embedding, crop.points, worth, place, rules.points_per_batch
        ):
            yield from found
            done += 1
            if progress is not None:
                progress(100 * done // n_points, 100)


def _embed(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    cache: EmbeddingCache,
    window: Window | None,
) -> Embedding:
    if window is None:
        return cache.embed(predictor, stack, frame).embedding
    y0, x0, y1, x1 = window
    return predictor.encode(stack.frame(frame, long_side=None)[y0:y1, x0:x1])


def _crops(frame_shape: tuple[int, int], options: AutomaticOptions) -> Iterator[Crop]:
    """The frame, and its parts layer by layer, with the clicks in them; none without a click."""
    rules = options.grid
    inside = None
    if options.within is not None:
        inside = polygon_mask(np.array(options.within), frame_shape)
    for layer, window in _windows(frame_shape, rules):
        y0, x0, y1, x1 = window or (0, 0, *frame_shape)
        per_side = int(rules.points_per_side / rules.crop_n_points_downscale_factor**layer)
        points = _grid(per_side, (y1 - y0, x1 - x0))
        if inside is not None:
            points = [(y, x) for y, x in points if inside[int(y + y0), int(x + x0)]]
        if points:
            yield Crop(window, (y1 - y0, x1 - x0), points)


def _windows(frame_shape: tuple[int, int], rules: GridRules) -> Iterator[tuple[int, Window | None]]:
    """Layers and the parts of the frame in them: 4 ** layer, which overlap."""
    yield 0, None
    for layer in range(1, rules.crop_n_layers + 1):
        n = 2**layer
        overlap = int(rules.crop_overlap_ratio * min(frame_shape) * 2 / n)
        height, width = (math.ceil((overlap * (n - 1) + side) / n) for side in frame_shape)
        for x, y in product(range(n), repeat=2):
            y0, x0 = y * (height - overlap), x * (width - overlap)
            if y0 >= frame_shape[0] or x0 >= frame_shape[1]:  # rounded up, in a small frame
                continue
            yield layer, (y0, x0, min(y0 + height, frame_shape[0]), min(x0 + width, frame_shape[1]))


def _grid(per_side: int, shape: tuple[int, int]) -> list[Point]:
    """Clicks yx, row by row, each in the middle of its part of the field."""
    height, width = shape
    at = (np.arange(per_side) + 0.5) / max(per_side, 1)
    return [
        (min(y * height, height - INSIDE), min(x * width, width - INSIDE))
        for y, x in product(at.tolist(), repeat=2)
    ]
