"""How good the maps of objects are: how many objects have a seed, how many seeds have no object.

A seed is a peak of the depth that a map shows, at any level of the pyramid. Automatic segmentation
clicks on seeds: an object without one is lost, and every seed beside the objects costs a decode.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam.engine import Embedding, Predictor, find_seeds
from napari_sam.model import Pocket
from napari_sam.training.data import AnnotatedFrame
from napari_sam.training.evaluation.protocol import MIN_AREA

THRESHOLD = 0.3  # depth at a seed: low, since the decoder and its scores judge later


@dataclass(frozen=True)
class SeedScore:
    """Means over the frames of a source; of the background only where all objects are labelled."""

    n_frames: int
    found: float  # share of the objects with a seed inside
    seeds_per_object: float
    on_background: float  # share of the seeds that are on no object


def seed_scores(predictor: Predictor, frames: Iterable[AnnotatedFrame]) -> dict[str, SeedScore]:
    """How the seeds of a network with maps meet the objects of frames, source by source."""
    per_source: dict[str, list[tuple[float, float, float]]] = {}
    for frame in frames:
        ids, areas = np.unique(frame.labels, return_counts=True)
        wanted = ids[(ids > 0) & (areas >= MIN_AREA)]
        if len(wanted) == 0:
            continue
        points = seeds_of(predictor, predictor.encode(frame.image))
        hit = frame.labels[tuple(points.T)]
        outside = float((hit == 0).mean()) if frame.complete and len(hit) else np.nan
        found = float(np.isin(wanted, hit).mean())
        per_source.setdefault(frame.source, []).append((found, len(hit) / len(wanted), outside))
    return {source: _mean(rows) for source, rows in per_source.items()}


def _mean(rows: Sequence[tuple[float, float, float]]) -> SeedScore:
    known = [outside for *_, outside in rows if not np.isnan(outside)]
    return SeedScore(
        len(rows),
        float(np.mean([found for found, *_ in rows])),
        float(np.mean([per_object for _, per_object, _ in rows])),
        float(np.mean(known)) if known else float("nan"),
    )


def seeds_of(
    predictor: Predictor, embedding: Embedding, threshold: float = THRESHOLD
) -> NDArray[np.int64]:
    """Seeds (n, 2), y and x in pixels of the frame, of all levels."""
    network = predictor.model.network
    if not isinstance(network, Pocket):
        return np.zeros((0, 2), np.int64)
    with torch.inference_mode():
        maps = network.map_objects(embedding.tensors)
    seeds = find_seeds(maps, network.config.levels, embedding, threshold)
    return np.array([seed.pixel for seed in seeds], np.int64).reshape(-1, 2)
