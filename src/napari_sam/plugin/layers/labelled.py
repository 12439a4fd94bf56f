"""Objects of the layers, to be measured or exported."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_sam.engine import Labelled
from napari_sam.headless.labelled import facts_of, names_of, placed, with_axes
from napari_sam.session import Session

from .own_layers import placement_of


def labelled(session: Session, layer: Layer) -> Labelled:
    """The objects of a session, in the units of a layer of its labels."""
    given = session.classes
    facts = {
        (object_id, frame): facts_of(each, given.of(object_id))
        for (object_id, frame), each in session.annotations()
        if each.footprint.landed
    }
    objects = placed(session.labels, placement_of(layer), session.parents, facts)
    return with_axes(replace(objects, classes=names_of(given)), session.stack.letters or None)


def only(objects: Labelled, ids: Collection[int]) -> Labelled:
    """Some of the objects."""
    kept = np.array(sorted(ids), np.int64)
    return replace(objects, labels=_Some(objects.labels, kept))


class _Some:
    """Labels in which only some objects are seen, wherever they are read."""

    def __init__(self, labels: Any, ids: NDArray[np.int64]) -> None:
        self.shape, self.dtype = labels.shape, labels.dtype
        self._labels, self._ids = labels, ids

    def __getitem__(self, where: Any) -> NDArray[Any]:
        pixels = np.asarray(self._labels[where])
        return np.where(np.isin(pixels, self._ids), pixels, 0).astype(self.dtype)
