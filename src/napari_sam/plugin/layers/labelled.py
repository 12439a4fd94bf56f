"""Objects of the layers, to be measured or exported."""

from __future__ import annotations

from collections.abc import Callable, Collection
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
    known = replace(objects, classes=names_of(given), reviews=dict(session.reviews))
    return with_axes(known, session.stack.letters or None)


def only(objects: Labelled, ids: Collection[int]) -> Labelled:
    """Some of the objects."""
    kept = np.array(sorted(ids), np.int64)
    return _seen(objects, lambda pixels: np.where(np.isin(pixels, kept), pixels, 0))


def watched(objects: Labelled, on_read: Callable[[], object]) -> Labelled:
    """The same objects; where pixels of them are read, something is called, and may stop it."""

    def see(pixels: NDArray[Any]) -> NDArray[Any]:
        on_read()
        return pixels

    return _seen(objects, see)


def _seen(objects: Labelled, see: Callable[[NDArray[Any]], NDArray[Any]]) -> Labelled:
    return replace(objects, labels=_Seen(objects.labels, see))


class _Seen:
    """Labels whose pixels go through a function, wherever they are read."""

    def __init__(self, labels: Any, see: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        self.shape, self.dtype = labels.shape, labels.dtype
        self._labels, self._see = labels, see

    def __getitem__(self, where: Any) -> NDArray[Any]:
        return self._see(np.asarray(self._labels[where])).astype(self.dtype, copy=False)
