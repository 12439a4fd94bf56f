"""The layers this plugin makes. Each lies where the image lies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Tracks
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.transforms import Affine
from numpy.typing import DTypeLike, NDArray

from napari_sam.engine import FrameIndex, FrameStack
from napari_sam.session import Region

PREVIEW_COLOUR = (1.0, 0.85, 0.2, 0.5)
LABELS_OPACITY = 0.5
MOST_PIXELS = 2**29  # of labels held as one array, 1 GB; a compressed one is ten times slower
CHUNK_SIDE = 512
MADE_HERE = "made by napari_sam"  # in the metadata of labels


def empty_labels(
    shape: tuple[int, ...], dtype: DTypeLike = np.uint16, most_pixels: int = MOST_PIXELS
) -> Any:
    """Labels of a shape, all 0; of a huge one only what is written to takes memory."""
    if math.prod(shape) <= most_pixels:
        return np.zeros(shape, dtype)
    import zarr  # an eighth of a second that the window need not wait for
    from zarr.storage import MemoryStore

    chunks = (1,) * (len(shape) - 2) + (CHUNK_SIDE, CHUNK_SIDE)
    return zarr.zeros(shape, chunks=chunks, dtype=dtype, store=MemoryStore())


def is_blank(labels: Labels) -> bool:
    """Whether labels were made here and nothing is in them."""
    if not labels.metadata.get(MADE_HERE):
        return False
    data = labels.data
    return not (data.any() if isinstance(data, np.ndarray) else data.nchunks_initialized)


def widened(labels: Any, dtype: DTypeLike, most_pixels: int = MOST_PIXELS) -> Any:
    """The same labels in a wider type, copied piece by piece; what is empty takes no memory."""
    wide = empty_labels(labels.shape, dtype, most_pixels)
    height, width = labels.shape[-2:]
    tops, lefts = (range(0, side, 2 * CHUNK_SIDE) for side in (height, width))
    for *frame, row, column in np.ndindex(*labels.shape[:-2], len(tops), len(lefts)):
        spans = (slice(at, at + 2 * CHUNK_SIDE) for at in (tops[row], lefts[column]))
        place = (*frame, *spans)
        piece = np.asarray(labels[place])
        if piece.any():
            wide[place] = piece
    return wide


def new_labels(image: Image, stack: FrameStack, data: Any = None) -> Labels:
    """Labels on an image: these, or empty ones."""
    return Labels(
        empty_labels(stack.shape) if data is None else data,
        name=f"{image.name} objects",
        opacity=LABELS_OPACITY,
        metadata={MADE_HERE: True},
        **placement(image),
    )


def new_preview(image: Image, stack: FrameStack) -> Labels:
    """A layer for the mask under the cursor, no larger than that; never the user's own."""
    return Labels(
        np.zeros((1,) * stack.ndim, np.uint8),
        name=f"{image.name} preview",
        colormap=DirectLabelColormap(color_dict={None: (0, 0, 0, 0), 1: PREVIEW_COLOUR}),
        visible=False,
        **placement(image),
    )


def show_region(layer: Labels, region: Region, image: Image, frame: FrameIndex) -> None:
    """Let a layer hold nothing but a region of a frame, where that lies in the image.

    The viewer is not told: it would compute all extents again, though none exceeds the image's.
    """
    leading = tuple(axis for axis, i in enumerate(frame) if i is not None)
    corner = iter((region.top, region.left))
    first_pixel = np.array([next(corner) if i is None else i for i in frame], float)
    linear = Affine(scale=image.scale, rotate=image.rotate, shear=image.shear).linear_matrix
    with layer.events.translate.blocker(), layer.events.data.blocker():
        layer.translate = np.asarray(image.translate) + linear @ first_pixel
        layer.data = np.expand_dims(region.pixels, leading).astype(np.uint8)  # draws it there


def raise_above(viewer: ViewerModel, layer: Layer, below: Layer) -> None:
    """Raise a layer that lies below another one: it could not be seen."""
    layers = viewer.layers
    if layers.index(layer) < layers.index(below):
        layers.move(layers.index(layer), layers.index(below) + 1)


def new_tracks(image: Image, data: NDArray[np.float64]) -> Tracks:
    """Objects through time; rows of id and position, ``(N, 1 + ndim)``."""
    return Tracks(data, name=f"{image.name} tracks", **placement(image))


def placement(image: Image) -> dict[str, Any]:
    """All that decides where a layer's pixels lie in the world, as in the image."""
    return {
        "scale": image.scale,
        "translate": image.translate,
        "rotate": image.rotate,
        "shear": image.shear,
        "affine": image.affine.affine_matrix,
        "units": image.units,
        "axis_labels": image.axis_labels,
    }
