"""Labels in the colours of the objects' classes, and back in their own."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_sam.session import Classes

NO_CLASS = np.array((0.6, 0.6, 0.6, 1.0), np.float32)
NOTHING = np.zeros(4, np.float32)


class ClassColours:
    """What labels are coloured by."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._own: Any = None  # their colormap, while they have another one
        self._shown: dict[int, str] = {}  # the colour of each object

    def show(self, classes: Classes) -> None:
        """Colour each object as its class, those of none in grey."""
        by_name = {each.name: each.colour for each in classes.defined}
        shown = {i: by_name[each.name] for i, each in classes.given.items()}
        if self._own is None:
            self._own = self._labels.colormap
        elif shown == self._shown:
            return
        self._shown = shown
        rgba = {colour: _rgba(colour) for colour in by_name.values()}
        colours: dict[int | None, Any] = {i: rgba[colour] for i, colour in shown.items()}
        colours |= {None: NO_CLASS, 0: NOTHING}
        self._labels.colormap = DirectLabelColormap(color_dict=colours)

    def restore(self) -> None:
        """Give each object its own colour again."""
        own, self._own, self._shown = self._own, None, {}
        if own is not None:
            self._labels.colormap = own


def _rgba(colour: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array([*(int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)), 1], np.float32)
