"""The layers this plugin makes, and what their rows remember.

Each lies where the image lies. Rows of the prompt layers have three features: the object's id,
whether they are positive, and the two axes that were on screen.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import zarr
from napari.layers import Image, Labels, Layer, Points, Shapes, Tracks
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.transforms import Affine
from numpy.typing import DTypeLike, NDArray
from zarr.storage import MemoryStore

from napari_sam.engine import FrameIndex, FrameStack

POSITIVE, NEGATIVE = "positive", "negative"
COLOURS = {POSITIVE: "#2ee66b", NEGATIVE: "#ff4d4d"}
PREVIEW_COLOUR = (1.0, 0.85, 0.2, 0.5)
LABELS_OPACITY = 0.5
MOST_PIXELS = 2**30  # of labels held as one array: 2 GB


def empty_labels(shape: tuple[int, ...], dtype: DTypeLike = np.uint16) -> Any:
    """Labels of a shape, all 0; of a huge one only what is written to takes memory."""
    if math.prod(shape) <= MOST_PIXELS:
        return np.zeros(shape, dtype)
    chunks = (1,) * (len(shape) - 2) + (1024, 1024)
    return zarr.zeros(shape, chunks=chunks, dtype=dtype, store=MemoryStore())


def new_labels(image: Image, stack: FrameStack, data: Any = None) -> Labels:
    """Labels on an image: these, or empty ones."""
    return Labels(
        empty_labels(stack.shape) if data is None else data,
        name=f"{image.name} objects",
        opacity=LABELS_OPACITY,
        **_placement(image, stack),
    )


def new_points(image: Image, stack: FrameStack) -> Points:
    """An empty layer for clicks, green for positive and red for negative."""
    return Points(
        ndim=stack.ndim,
        name=f"{image.name} points",
        features=row_features([], [], []),
        face_color="label",
        face_color_cycle=COLOURS,
        border_color="white",
        size=max(4.0, max(stack.frame_shape) / 80),
        canvas_size_limits=(8, 14),
        **_placement(image, stack),
    )


def new_shapes(image: Image, stack: FrameStack) -> Shapes:
    """An empty layer for boxes, outlines and scribbles."""
    return Shapes(
        ndim=stack.ndim,
        name=f"{image.name} shapes",
        features=row_features([], [], []),
        face_color="transparent",
        edge_color="#ffd93d",
        edge_width=max(1.0, max(stack.frame_shape) / 400),
        **_placement(image, stack),
    )


def new_preview(image: Image, stack: FrameStack) -> Labels:
    """A layer for the mask under the cursor; one frame, never the user's own."""
    return Labels(
        np.zeros((1,) * stack.ndim, np.uint8),
        name=f"{image.name} preview",
        colormap=DirectLabelColormap(color_dict={None: (0, 0, 0, 0), 1: PREVIEW_COLOUR}),
        visible=False,
        **_placement(image, stack),
    )


def new_tracks(image: Image, stack: FrameStack, data: NDArray[np.float64]) -> Tracks:
    """Objects through time; rows of id and position, ``(N, 1 + ndim)``."""
    return Tracks(data, name=f"{image.name} tracks", **_placement(image, stack))


def place_in_frame(layer: Layer, image: Image, frame: FrameIndex) -> None:
    """Put a layer of one frame where that frame of the image lies."""
    offset = np.array([i or 0 for i in frame], float)
    linear = Affine(scale=image.scale, rotate=image.rotate, shear=image.shear).linear_matrix
    layer.translate = np.asarray(image.translate) + linear @ offset


def _placement(image: Image, stack: FrameStack) -> dict[str, Any]:
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


def row_features(objects: list[int], labels: list[str], views: list[str]) -> pd.DataFrame:
    """Features of rows of a prompt layer."""
    return pd.DataFrame(
        {
            "object": np.array(objects, np.int64),
            "label": pd.Categorical(labels, categories=[POSITIVE, NEGATIVE]),
            "view": np.array(views, object),
        }
    )


def write_view(frame: FrameIndex) -> str:
    """The axes that span a frame, as a row of a prompt layer remembers them: ``"1 2"``."""
    return " ".join(str(axis) for axis, i in enumerate(frame) if i is None)


def read_view(view: str) -> tuple[int, int]:
    """The axes that :func:`write_view` wrote."""
    y, x = view.split()
    return int(y), int(x)
