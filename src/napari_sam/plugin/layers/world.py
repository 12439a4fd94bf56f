"""Positions in the world ↔ positions in a layer: the one place where units count.

Since version 0.7 napari shows layers of different units in one world, in the smallest unit of each
kind or in what the user chose. A layer itself converts to a world in its *own* units, and so do
napari's tools: they draw in the wrong place in a layer of other units than the world's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from numpy.typing import NDArray

from .deferring import Defer
from .own_layers import placement

CHANGES = ("inserted", "removed", "units")  # events of the layers after which units may differ


def to_data(viewer: ViewerModel, layer: Layer, point_world: Sequence[float]) -> tuple[float, ...]:
    """A position in the viewer's world as one in a layer's data, ``(layer.ndim,)``."""
    point = np.asarray(point_world, float)[-layer.ndim :]
    point = np.pad(point, (layer.ndim - len(point), 0))
    return tuple(map(float, layer.world_to_data(point / _to_world_units(viewer, layer))))


def to_world(viewer: ViewerModel, layer: Layer, point_data: Sequence[float]) -> NDArray[Any]:
    """A position in a layer's data as one in the viewer's world, ``(layer.ndim,)``."""
    return np.asarray(layer.data_to_world(point_data)) * _to_world_units(viewer, layer)


def extent_in_world(viewer: ViewerModel, layer: Layer) -> NDArray[Any]:
    """The lowest and the highest corner of a layer in the viewer's world, ``(2, layer.ndim)``."""
    return np.asarray(layer.extent.world) * _to_world_units(viewer, layer)


def to_other(layer: Layer, other: Layer, point_data: Sequence[float]) -> tuple[float, ...]:
    """A position in a layer's data as one in the data of another layer, on the axes of both.

    The other one may have more: then these are its last ones, as napari has it.
    """
    n = layer.ndim
    point = np.asarray(layer.data_to_world(point_data)) * factors(layer.units, other.units[-n:])
    return tuple(map(float, other.world_to_data(point)[-n:]))


def place_on(viewer: ViewerModel, image: Layer, layers: Iterable[Layer]) -> None:
    """Lay layers that napari's tools draw in onto an image, in the units of the world.

    They give up what they had first: the world's units are the smallest of all layers'.
    """
    places = [(layer, placement(image, layer.ndim)) for layer in layers]
    for layer, place in places:
        _place(layer, place["units"], place["affine"])
    for layer, place in places:
        world = world_units(viewer, layer)
        by_world = factors(place["units"], world)
        if np.any(by_world != 1):
            _place(layer, world, np.diag([*by_world, 1.0]) @ place["affine"])


def world_units(viewer: ViewerModel, layer: Layer) -> tuple[Any, ...]:
    """The units of the world on a layer's axes; the layer's own where napari knows no others."""
    units = getattr(viewer.dims, "units", None)  # since napari 0.7
    return tuple(layer.units if units is None or len(units) < layer.ndim else units[-layer.ndim :])


def factors(units: Sequence[Any], others: Sequence[Any]) -> NDArray[np.float64]:
    """Factors that convert some units into others; 1 where they are of different kinds.

    Parameters
    ----------
    units, others
        pint's, one an axis.
    """
    return np.array([_factor(one, other) for one, other in zip(units, others, strict=True)])


def _to_world_units(viewer: ViewerModel, layer: Layer) -> NDArray[np.float64]:
    return factors(layer.units, world_units(viewer, layer))


def _factor(one: Any, other: Any) -> float:
    if one == other or not one.is_compatible_with(other):
        return 1.0
    return float((1 * one).to(other).magnitude)


def _place(layer: Layer, units: Sequence[Any], affine: NDArray[np.float64]) -> None:
    if tuple(layer.units) != tuple(units):
        layer.units = units
    if not np.array_equal(layer.affine.affine_matrix, affine):
        layer.affine = affine


class WorldUnits:
    """Keeps layers that napari's tools draw in in the units of the world.

    Parameters
    ----------
    layers
        Own layers, as they are on the image.
    defer
        Runs a function when napari is done with its own event.
    """

    def __init__(
        self, viewer: ViewerModel, image: Layer, layers: Sequence[Layer], defer: Defer
    ) -> None:
        self._viewer, self._image, self._layers, self._defer = viewer, image, layers, defer
        self.is_placing = False  # it is the one who moves them
        viewer.layers.events.connect(self._on_event)
        self.update()

    def close(self) -> None:
        """Disconnect from the viewer."""
        self._viewer.layers.events.disconnect(self._on_event)
        self.is_placing = True  # what was put off does nothing

    def update(self) -> None:
        """Lay the layers onto the image again if their units, or the world's, are not its own."""
        shown = [world_units(self._viewer, self._image), *(layer.units for layer in self._layers)]
        own = tuple(self._image.units)
        if self.is_placing or all(tuple(units) == own[-len(units) :] for units in shown):
            return
        self.place()

    def place(self) -> None:
        """Lay the layers onto the image, in the units of the world."""
        self.is_placing = True
        try:
            place_on(self._viewer, self._image, self._layers)
        finally:
            self.is_placing = False

    def _on_event(self, event: Any) -> None:
        if event.type in CHANGES and not self.is_placing:
            self._defer(self.update)
