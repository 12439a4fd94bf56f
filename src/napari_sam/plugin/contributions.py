"""Sample data named in napari.yaml: images that come inside scikit-image, no download."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage import data

LayerData = tuple[Any, dict[str, Any], str]


def cell() -> list[LayerData]:
    """One cell, (660, 550) uint8."""
    return [_sample("cell", rgb=False)]


def coins() -> list[LayerData]:
    """Coins on a shaded ground, (303, 384) uint8."""
    return [_sample("coins", rgb=False)]


def immunohistochemistry() -> list[LayerData]:
    """Colon tissue, brown stain and blue nuclei, (512, 512, 3) uint8."""
    return [_sample("immunohistochemistry", rgb=True)]


def _sample(name: str, *, rgb: bool) -> LayerData:
    return np.asarray(getattr(data, name)()), {"name": name, "rgb": rgb}, "image"
