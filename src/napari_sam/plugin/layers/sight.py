"""Whether the clicked image is visible: which image is on top, and which layers are hidden."""

from __future__ import annotations

from itertools import takewhile

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from .world import extent_in_world

SEE_THROUGH = ("additive", "minimum", "multiplicative")  # blendings that show what is below
OPAQUE = 0.5  # opacity from which on a layer hides more than it shows
CHANGES = ("visible", "opacity", "blending", "reordered", "name")  # events of layers that matter


def hides(layer: Layer) -> bool:
    """Whether a layer is an image that hides what is below it."""
    if not isinstance(layer, Image) or not layer.visible:
        return False
    blending = str(layer.blending)
    return blending == "opaque" or (blending not in SEE_THROUGH and layer.opacity > OPAQUE)


def covering(viewer: ViewerModel, image: Image) -> Image | None:
    """The topmost image that is over a part of another one, as the sliders stand."""
    if image not in viewer.layers or getattr(viewer, "canvas", viewer).grid.enabled:
        return None
    above = takewhile(lambda layer: layer is not image, reversed(viewer.layers))
    return next((each for each in above if hides(each) and _meet(viewer, image, each)), None)


def is_on_top(viewer: ViewerModel, image: Image) -> bool:
    """Whether an image is visible."""
    return image in viewer.layers and hides(image) and covering(viewer, image) is None


def obstacle(viewer: ViewerModel, image: Image, labels: Labels, prompts: Layer) -> str:
    """Why the user cannot see what is clicked, and the remedy; "" if it is visible."""
    if image not in viewer.layers:
        return ""
    above = covering(viewer, image)
    if above is not None:
        return (
            f"“{above.name}” covers “{image.name}”, the image you annotate. Hide it, or "
            "choose it under Image."
        )
    if not image.visible:
        return (
            f"“{image.name}” is hidden, but it is the image you annotate. Show it, or choose "
            "another image."
        )
    layers = viewer.layers
    if labels in layers and layers.index(labels) < layers.index(image) and hides(image):
        return f"The masks are below “{image.name}”: drag the layer “{labels.name}” above it."
    if not labels.visible:
        return f"The masks are hidden: show the layer “{labels.name}”."
    if not prompts.visible:
        return f"The layer “{prompts.name}” is hidden. Choose a tool to show it."
    return ""


def _meet(viewer: ViewerModel, image: Image, other: Image) -> bool:
    """Whether two images share a part of the plane that is shown."""
    n = min(image.ndim, other.ndim)
    extents = (extent_in_world(viewer, each)[:, -n:] for each in (image, other))
    (low, high), (its_low, its_high) = extents
    displayed = [axis - viewer.dims.ndim for axis in viewer.dims.displayed]
    point = np.asarray(viewer.dims.point)
    for axis in range(-n, 0):
        if axis in displayed:
            apart = low[axis] >= its_high[axis] or its_low[axis] >= high[axis]
        else:
            apart = not its_low[axis] <= point[axis] <= its_high[axis]
        if apart:
            return False
    return True
