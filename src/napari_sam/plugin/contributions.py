"""Sample data named in napari.yaml: images that come inside scikit-image, no download."""

from __future__ import annotations

from typing import Any

from skimage import data

LayerData = tuple[Any, dict[str, Any], str]


def cell() -> list[LayerData]:
    """One cell, (660, 550) uint8."""
    return [(data.cell(), {"name": "cell"}, "image")]


def coins() -> list[LayerData]:
    """Coins on a shaded ground, (303, 384) uint8."""
    return [(data.coins(), {"name": "coins"}, "image")]


def immunohistochemistry() -> list[LayerData]:
    """Colon tissue, brown stain and blue nuclei, (512, 512, 3) uint8."""
    image = data.immunohistochemistry()
    return [(image, {"name": "immunohistochemistry", "rgb": True}, "image")]
