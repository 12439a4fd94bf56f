"""Cellpose's `_seg.npy`: a dictionary with masks and outlines, as its window opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_sam.engine import FrameError, Labelled, colour_of, read_labels

from .canvas import Canvas
from .tiff import id_type


def write(objects: Labelled, path: Path) -> None:
    """One frame, or one volume. Cellpose wants ids from 1 on without a gap: others stay as they are
    in its masks, and it numbers them anew when it saves."""
    if len(objects.shape) > 3:
        raise FrameError(
            f"A file of Cellpose holds a frame or a volume, not labels of shape {objects.shape}. "
            "Export each time point by itself."
        )
    masks = np.asarray(objects.labels[...]).astype(id_type(objects))
    ids = np.unique(masks[masks > 0])
    content: dict[str, Any] = {
        "masks": masks,
        "outlines": masks * _outlines(masks),
        "chan_choose": [0, 0],
        "ismanual": np.ones(len(ids), bool),
        "colors": np.array([[round(p) for p in colour_of(int(i))] for i in ids], np.uint8).reshape(
            -1, 3
        ),
        "filename": "",
        "flows": [[], [], [], [], []],
        "diameter": np.nan,
        "manual_changes": [],
    }
    with path.open("wb") as file:
        np.save(file, np.array(content, object), allow_pickle=True)


def read(path: Path, canvas: Canvas | None) -> Labelled:
    """The masks."""
    labels, axes = read_labels(path)
    if canvas is not None and canvas.shape == labels.shape:
        return canvas.labelled(labels[...])
    return Labelled.of(labels, axes=axes)


def _outlines(masks: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Pixels beside another object or the background."""
    edge = np.zeros(masks.shape, bool)
    for axis in (-2, -1):
        steps = np.diff(masks.astype(np.int64), axis=axis) != 0
        rest = [(0, 0)] * masks.ndim
        rest[axis] = (0, 1)
        edge |= np.pad(steps, rest)
        rest[axis] = (1, 0)
        edge |= np.pad(steps, rest)
    return edge & (masks > 0)
