"""Synthetic microscopy: many kinds of cells in many kinds of contrast, for what the data lacks.

An image is a layout (where the objects are) in an appearance (what the microscope shows of them),
both drawn at random. Realism matters less than variety: the network should learn that an object is
what differs from its surroundings in level, texture or outline.
"""

from __future__ import annotations

import numpy as np

from napari_sam.training.data import AnnotatedFrame

from .appearances import APPEARANCES
from .layouts import LAYOUTS, nuclei_in, visible_pieces, warped
from .signals import Image, Layout

NESTED = 0.12  # chance of cells with nuclei, of which either are requested


def synthesise(rng: np.random.Generator, size: int = 384) -> AnnotatedFrame:
    """One random image (size, size, 3) and its objects."""
    labels = visible_pieces(warped(LAYOUTS[rng.integers(len(LAYOUTS))](rng, size), rng))
    image = _seen(labels, rng)
    if rng.random() < NESTED and labels.any():
        nuclei = visible_pieces(nuclei_in(labels, rng))
        share = rng.uniform(0.3, 0.7)
        image = share * image + (1 - share) * _seen(nuclei, rng)
        if rng.random() < 0.5 and nuclei.any():
            labels = nuclei
    levels = np.broadcast_to(255 * image, (size, size, 3)).astype(np.uint8)
    return AnnotatedFrame("synthetic", levels, labels, complete=True)


def _seen(labels: Layout, rng: np.random.Generator) -> Image:
    """The objects in a random appearance, (H, W, 1 or 3), its levels from 0 to 1."""
    image = APPEARANCES[rng.integers(len(APPEARANCES))](labels, rng)
    if image.ndim == 2:
        image = image[..., None]
    low, high = np.percentile(image[::2, ::2], (0.1, 99.9))
    scaled: Image = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    return scaled
