"""One click for each object that the network maps: the maps propose, the decoder judges.

Where the map of depth has a peak, however weak, an object is clicked, at the level of the pyramid
that shows the peak. The deepest come first; a peak inside an object that is found well by then is
not decoded. What is kept is decided late, by the scores: so does micro-sam's automatic prompt
generation (Archit et al. 2025, "Segment Anything for Microscopy"), which has one level.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_sam.engine.embeddings.cache import EmbeddingCache
from napari_sam.engine.frames import FrameIndex, FrameStack, round_half_up
from napari_sam.engine.masks import polygon_mask
from napari_sam.engine.predictor import Embedding, Predictor, Progress
from napari_sam.engine.prompts import Point
from napari_sam.model import Pocket

from .found import FoundObject
from .looking import MAP_STRIDE, Looking
from .options import AutomaticOptions

NEIGHBOURHOOD = 5  # pixels of a map among which a seed is the deepest
AT_ONCE = {"cpu": 4, "cuda": 64, "mps": 16}  # clicks that keep the device busy


class Seed(NamedTuple):
    """A place that is deep in an object."""

    point: Point  # yx in frame pixels
    level: int  # of the pyramid, the finest is 0
    depth: float  # 1 where an object is deepest

    @property
    def pixel(self) -> tuple[int, int]:
        """Row and column of the frame."""
        y, x = self.point
        return round_half_up(y), round_half_up(x)


def propose_seeds(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    options: AutomaticOptions,
    cache: EmbeddingCache,
    progress: Progress | None = None,
) -> Iterator[FoundObject]:
    """Decode the seeds of a frame, as `propose` has it."""
    network = predictor.model.network
    if not isinstance(network, Pocket):
        return
    embedding = cache.embed(predictor, stack, frame).embedding
    looking = Looking(network, predictor.model.device, embedding)
    covered = np.zeros(embedding.frame_shape, bool)
    if options.within is not None:
        covered |= ~polygon_mask(np.array(options.within), embedding.frame_shape)
    queue = deque(find_seeds(looking.maps, network.config.levels, embedding, options.seeds.depth))
    n_seeds = len(queue)
    while batch := _next(queue, covered, AT_ONCE[predictor.model.device.type]):
        points, level = [seed.point for seed in batch], batch[0].level
        for found in chain(*looking.click(points, level, options.floors("seeds")[0])):
            if found.area and found.score >= options.seeds.sure:
                covered[found.where] |= found.mask
            yield found
        if progress is not None:
            progress(99 * (n_seeds - len(queue)) // n_seeds, 100)
    if progress is not None:
        progress(100, 100)


def find_seeds(
    maps: Sequence[Tensor], levels: Sequence[int], embedding: Embedding, least_depth: float
) -> list[Seed]:
    """Where objects are deep, the deepest first.

    Parameters
    ----------
    maps
        What a network's ``map_objects`` says of each level, ``(1, 3, h, w)``.
    levels
        Pixels of the input to one of each level.
    least_depth
        Peaks that are less deep are none.
    """
    scale = np.divide(embedding.input_shape, embedding.frame_shape)
    seeds = []
    for level, (shrink, (objects, _, depths)) in enumerate(
        zip(levels, (each[0] for each in maps), strict=True)
    ):
        depth = F.avg_pool2d((objects * depths)[None], 3, 1, 1)
        highest = F.max_pool2d(depth, NEIGHBOURHOOD, 1, NEIGHBOURHOOD // 2)
        peaks = ((highest == depth) & (depth > least_depth))[0].nonzero().cpu().numpy()
        points = (peaks + 0.5) * (MAP_STRIDE * shrink) / scale - 0.5
        inside = (points < np.array(embedding.frame_shape) - 0.5).all(1)
        values = depth[0].cpu().numpy()[tuple(peaks.T)]
        seeds += [
            Seed((float(y), float(x)), level, float(value))
            for (y, x), value in zip(points[inside], values[inside], strict=True)
        ]
    return sorted(seeds, key=lambda seed: -seed.depth)


def _next(queue: deque[Seed], covered: NDArray[np.bool_], n: int) -> list[Seed]:
    """Take the first seeds, at most n, of one level; forget those on pixels that are covered."""
    batch: list[Seed] = []
    passed: list[Seed] = []
    while queue and len(batch) < n:
        seed = queue.popleft()
        if covered[seed.pixel]:
            continue
        (batch if not batch or seed.level == batch[0].level else passed).append(seed)
    queue.extendleft(reversed(passed))
    return batch
