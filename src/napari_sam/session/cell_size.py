"""How large objects are, learned from those that were segmented lately."""

from __future__ import annotations

import math
from collections import OrderedDict
from statistics import median

from .annotation import Key

ENOUGH_OBJECTS = 3  # segmented before their size says what size to expect
OBJECTS_REMEMBERED = 64  # so that a session goes along from small cells to large ones


class CellSizes:
    """Diameters of the circles as large as the objects segmented lately, in pixels."""

    def __init__(self) -> None:
        self._diameters: OrderedDict[Key, float] = OrderedDict()

    def note(self, key: Key, area: int) -> None:
        """Add a segmented object, or remove it if it has no area."""
        self._diameters.pop(key, None)
        if area:
            self._diameters[key] = 2 * math.sqrt(area / math.pi)
        while len(self._diameters) > OBJECTS_REMEMBERED:
            self._diameters.popitem(last=False)

    def usual(self, besides: int | None = None) -> float | None:
        """The median, to two digits, of all objects but one; ``None`` while there are too few."""
        known = [d for (object_id, _), d in self._diameters.items() if object_id != besides]
        return float(f"{median(known):.2g}") if len(known) >= ENOUGH_OBJECTS else None
