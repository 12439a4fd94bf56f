"""Each object as a picture of its own with a transparent ground, for figures and collages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from napari_sam.engine import FrameStack, Labelled, Runs

from .canvas import plane


def write(objects: Labelled, path: Path, image: FrameStack) -> None:
    """A folder of PNGs: the object's number, and its frame in a stack."""
    for positions, pixels in objects.frames():
        shown = image.frame(image.index(*positions), long_side=None)
        t, z = plane(objects, positions)
        runs = Runs.of(pixels)
        top, bottom = runs.lowest(runs.rows), runs.highest(runs.rows) + 1
        left, right = runs.lowest(runs.starts), runs.highest(runs.stops)
        for n, object_id in enumerate(runs.ids.tolist()):
            crop = (slice(top[n], bottom[n]), slice(left[n], right[n]))
            alpha = np.where(pixels[crop] == object_id, 255, 0).astype(np.uint8)
            at = f"_t{t:04d}_z{z:04d}" if positions else ""
            picture = Image.fromarray(np.dstack([shown[crop], alpha]))
            picture.save(path / f"object_{object_id:05d}{at}.png")
