"""Labels in the colours of the objects' classes, or in their own; hidden objects in none."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_sam.engine import SamError
from napari_sam.session import Classes, names_of

Colour: TypeAlias = tuple[float, ...]  # red, green, blue, opacity; each from 0 to 1

NEUTRAL: Colour = (0.6, 0.6, 0.6, 1.0)  # of no class, or not known yet
NOTHING: Colour = (0.0, 0.0, 0.0, 0.0)
HIGHEST = 2**16  # of the objects to which napari gives a colour each without numba


class LabelColours:
    """What labels are coloured by. Their pixels and what is saved of them stay as they are."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._own: Any = None  # their colormap, while they have another one
        self._shown: dict[int | None, Colour] = {}
        self._classes: Classes | None = None
        self._ids: tuple[int, ...] = ()
        self._hidden: frozenset[int] = frozenset()

    @property
    def has_hidden(self) -> bool:
        """Whether there is anything to show again."""
        return bool(self._hidden)

    @property
    def obstacle(self) -> str:
        """Which of the objects that there are is hidden, and the remedy; "" if none is."""
        hidden = sorted(self._hidden.intersection(self._ids))
        if not hidden:
            return ""
        are = "is" if len(hidden) == 1 else "are"
        return f"{names_of(hidden).capitalize()} {are} hidden: “Show all objects” is under Edit."

    def hide(self, object_ids: Iterable[int]) -> None:
        """Show these objects no more.

        Raises
        ------
        SamError
            If napari has no colours for their numbers.
        """
        chosen = frozenset(object_ids)
        _check(chosen)
        self._hidden |= chosen
        self._show()

    def show_all(self) -> None:
        """Hide no object any more."""
        self._hidden = frozenset()
        self._show()

    def colour_by(self, classes: Classes | None) -> None:
        """Colour each object as its class, those of none in grey; ``None``: each as itself.

        Raises
        ------
        SamError
            If napari has no colours for the numbers of objects that have a class.
        """
        _check(() if classes is None else classes.given)
        self._classes = classes
        self._show()

    def know(self, object_ids: Iterable[int]) -> None:
        """Tell which objects there are: beside hidden ones, each is coloured by itself."""
        self._ids = tuple(each for each in object_ids if each <= _highest())
        self._show()

    def restore(self) -> None:
        """Give each object its own colour again."""
        own, self._own, self._shown = self._own, None, {}
        if own is not None:
            self._labels.colormap = own

    def _show(self) -> None:
        if self._classes is None and not self._hidden:
            self.restore()
            return
        own = self._labels.colormap if self._own is None else self._own
        classes = self._classes
        colours = self._by_themselves(own) if classes is None else _by_class(classes)
        for each in (0, *self._hidden):
            colours[each] = NOTHING
        colours[None] = NEUTRAL
        if colours == self._shown:
            return
        self._own, self._shown = own, colours
        rgba = {i: np.array(colour, np.float32) for i, colour in colours.items()}
        self._labels.colormap = DirectLabelColormap(color_dict=rgba)

    def _by_themselves(self, own: Any) -> dict[int | None, Colour]:
        colours = own.map(np.array(self._ids, np.int64)) if self._ids else []
        return {i: tuple(map(float, each)) for i, each in zip(self._ids, colours, strict=True)}


def _by_class(classes: Classes) -> dict[int | None, Colour]:
    by_name = {each.name: _rgba(each.colour) for each in classes.defined}
    return {i: by_name[each.name] for i, each in classes.given.items()}


@functools.cache
def _highest() -> float:
    """The highest number of an object that napari can give a colour."""
    return HIGHEST if find_spec("numba") is None else math.inf


def _check(object_ids: Iterable[int]) -> None:
    highest = max(object_ids, default=0)
    if highest > _highest():
        raise SamError(
            f"napari colours single objects with numbers up to {HIGHEST}, and here is object "
            f"{highest}. Install numba for more, or give the objects lower numbers."
        )


def _rgba(colour: str) -> Colour:
    return *(int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)), 1.0
