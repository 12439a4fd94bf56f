"""How alike objects are: features of the network, size and shape as one vector each.

The squared distance of two such vectors is a weighted sum: of the features of each map, of unit
length, and of the logarithms of area, axes and solidity. Likeness falls with the distance to the
nearest example, and further where a counter-example is nearer than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.features import PlacedMask, feature_maps, pooled_features, spread_of
from napari_sam.engine.predictor import Embedding

from .found import FoundObject

FEATURES, SHAPE = 1.5, 0.25  # weights of squared distances
N_SHAPE = 4
MOST_PIXELS = 2048  # of a mask that are looked at, evenly spread
REACH_OF_ONE = 0.3  # of a single example, whose distance to another is unknown
AGAINST = 0.1  # squared distance within which a counter-example, if nearer, speaks against
SAME = 0.001  # squared distance up to which an object is a counter-example itself


@dataclass(frozen=True, eq=False)
class Examples:
    """Objects of the user's, and of what was found those that are none.

    Attributes
    ----------
    looks
        ``(E, D)``, as :func:`looks_of` has them.
    centres
        ``(E, D)``: the same of a small square in the middle of each, to find places by.
    diameter
        Of the circle as large as the median example, in pixels of the frame.
    unlike
        ``(C, D)``: of the counter-examples.
    """

    looks: NDArray[np.float32]
    centres: NDArray[np.float32]
    diameter: float
    unlike: NDArray[np.float32]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The examples of several frames."""
        looks, centres, unlike = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("looks", "centres", "unlike")
        )
        diameters = np.repeat([part.diameter for part in parts], [len(p.looks) for p in parts])
        return cls(looks, centres, float(np.median(diameters)), unlike)

    @cached_property
    def reach(self) -> float:
        """Squared distance of their centres: the median from each to the nearest other one."""
        if len(self.centres) < 2:
            return REACH_OF_ONE
        apart = squared_distances(self.centres, self.centres)
        np.fill_diagonal(apart, np.inf)
        return float(np.median(apart.min(1)))

    def but_not(self, unlike: NDArray[np.float32]) -> Self:
        """The same with other counter-examples, ``(C, D)``."""
        return replace(self, unlike=unlike)


def looks_of(embedding: Embedding, masks: Sequence[PlacedMask]) -> NDArray[np.float32]:
    """What objects of an encoded frame look like, ``(N, D)``, to be compared by their distance.

    Parameters
    ----------
    masks
        Windows in frame pixels and the pixels in them, none without any.
    """
    seen = looks_of_places(embedding, [(window, _thinned(mask)) for window, mask in masks])
    if len(masks):
        seen[:, -N_SHAPE:] = np.sqrt(SHAPE) * np.array([_shape(mask) for _, mask in masks])
    return seen


def looks_of_places(embedding: Embedding, masks: Sequence[PlacedMask]) -> NDArray[np.float32]:
    """The same of places whose size and shape mean nothing."""
    pooled = pooled_features(embedding, masks)
    widths = [features.shape[1] for features in feature_maps(embedding)]
    maps = np.split(pooled, np.cumsum(widths)[:-1], axis=1)
    lengths = [np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-6) for each in maps]
    weight = np.sqrt(FEATURES / len(maps))
    features = [weight * each / length for each, length in zip(maps, lengths, strict=True)]
    return np.concatenate([*features, np.zeros((len(masks), N_SHAPE))], 1, dtype=np.float32)


def likeness(
    looks: NDArray[np.floating], scores: NDArray[np.floating], examples: Examples
) -> NDArray[np.float32]:
    """How like the examples objects are, ``(N,)``, from 0 to 1: no likeness without a good score.

    Parameters
    ----------
    looks
        ``(N, D)``.
    scores
        ``(N,)``: of their masks.
    """
    near = squared_distances(looks, examples.looks).min(1)
    alike = scores * np.exp(-near / 2)
    if len(examples.unlike):
        against = squared_distances(looks, examples.unlike).min(1)
        alike[against < near] *= 1 - np.exp(-against[against < near] / AGAINST)
        alike[against < SAME] = 0
    return np.asarray(alike, np.float32)


def compared(
    found: Sequence[FoundObject], looks: NDArray[np.floating], examples: Examples
) -> list[FoundObject]:
    """Proposals, each with its likeness; ``looks`` are those of the ones with a mask."""
    scores = np.array([each.score for each in found if each.area])
    values = iter(likeness(looks, scores, examples).tolist() if len(scores) else ())
    return [replace(each, likeness=next(values) if each.area else 0.0) for each in found]


def squared_distances(
    looks: NDArray[np.floating], others: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Between all of N and of M vectors, ``(N, M)``."""
    looks, others = looks.astype(np.float32), others.astype(np.float32)
    squares = (looks**2).sum(1)[:, None] + (others**2).sum(1) - 2 * looks @ others.T
    distances: NDArray[np.float32] = np.maximum(squares, 0)
    return distances


def _thinned(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of a large mask every so many pixels."""
    step = int(np.ceil(np.sqrt(np.count_nonzero(mask) / MOST_PIXELS)))
    if step <= 1:
        return mask
    thin = np.zeros_like(mask)
    thin[::step, ::step] = mask[::step, ::step]
    return thin if thin.any() else mask


def _shape(mask: NDArray[np.bool_]) -> list[float]:
    """Logarithms of the area, of both axes, and of the area to that of the ellipse with them."""
    pixels = np.argwhere(_thinned(mask))
    area = np.count_nonzero(mask)
    short, long = np.sqrt(spread_of(pixels))
    return [float(np.log(each)) for each in (area, long, short, area / (4 * np.pi * short * long))]
