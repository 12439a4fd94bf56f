"""Keys that work in some layers, independent of their use elsewhere in napari."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from napari.layers import Layer

Action: TypeAlias = Callable[[Layer], object]


class LayerKeys:
    """Binds actions to keys in layers, until it is closed."""

    def __init__(self, layers: Sequence[Layer], actions: Mapping[str, Action]) -> None:
        self._layers, self._actions = layers, actions
        for layer in layers:
            for key, action in actions.items():
                layer.bind_key(key, action, overwrite=True)

    def close(self) -> None:
        """Leave the keys to napari again."""
        for layer in self._layers:
            for key in self._actions:
                layer.bind_key(key, None, overwrite=True)
