"""Layers ↔ session. Knows napari but no Qt."""

from .attribute_arrays import AttributeArrays
from .bridge import LayerBridge, remove_layers

__all__ = ["AttributeArrays", "LayerBridge", "remove_layers"]
