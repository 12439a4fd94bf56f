"""Layers ↔ session. Knows napari but no Qt."""

from .bridge import LayerBridge, remove_layers

__all__ = ["LayerBridge", "remove_layers"]
