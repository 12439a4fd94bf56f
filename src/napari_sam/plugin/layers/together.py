"""Labels and prompts lie where their image lies, whichever of them is moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari.layers import Image, Labels, Layer
from psygnal import Signal

from napari_sam.engine import FrameStack

from .deferring import Defer
from .labels_as_given import lies_on
from .own_layers import MOVES, place_like, slice_again
from .world import WorldUnits

PUT_BACK = "“{}” was put back: masks lie where their image lies. Move “{}”, and they go with it."


class Together:
    """Takes labels and prompts along with their image, and puts them back if they alone are moved.

    Parameters
    ----------
    labels, prompts
        What lies on the image.
    shown
        Gives the layers that hold a mask for a moment; they go along, and may be others later.
    units
        Has the prompts in the units of the world.
    defer
        Runs a function when napari is done with its own event.
    """

    moved = Signal()  # the image lies elsewhere now, and all that is on it
    noticed = Signal(str)

    def __init__(
        self,
        image: Image,
        stack: FrameStack,
        labels: Labels,
        prompts: Sequence[Layer],
        shown: Callable[[], Sequence[Layer]],
        units: WorldUnits,
        defer: Defer,
    ) -> None:
        self._image, self._stack, self._units, self._defer = image, stack, units, defer
        self._layers, self._shown = (labels, *prompts), shown
        self._is_placing = False
        for name in MOVES:
            getattr(image.events, name).connect(self._on_image)
            for layer in self._layers:
                getattr(layer.events, name).connect(self._on_layer)

    def close(self) -> None:
        """Hear of the layers no more."""
        self._is_placing = True  # what was put off does nothing
        for name in MOVES:
            getattr(self._image.events, name).disconnect(self._on_image)
            for layer in self._layers:
                getattr(layer.events, name).disconnect(self._on_layer)

    def _on_image(self, event: object = None) -> None:
        self._defer(self._follow)

    def _on_layer(self, event: object = None) -> None:
        if not self._is_placing and not self._units.is_placing:
            self._defer(self._put_back)

    def _follow(self) -> None:
        if not self._is_placing:
            self._place()
            self.moved.emit()

    def _put_back(self) -> None:
        if self._is_placing:
            return
        astray = [each for each in self._layers if not lies_on(each, self._image, self._stack)]
        self._place()  # in its units, too
        if astray:
            self.noticed.emit(PUT_BACK.format(astray[0].name, self._image.name))

    def _place(self) -> None:
        self._is_placing = True
        layers = (*self._layers, *self._shown())
        before = [layer.units for layer in layers]
        try:
            for layer in layers:
                place_like(layer, self._image)
            self._units.place()
            if [layer.units for layer in layers] != before:
                slice_again((self._image, *layers))
        finally:
            self._is_placing = False
