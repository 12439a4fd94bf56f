"""The frame of an image that a viewer shows, and world positions in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_sam.engine import Box, FrameIndex, FrameStack, SamError

from .levels import finest
from .world import to_data, to_world


def shown_frame(viewer: ViewerModel, image: Image, stack: FrameStack) -> FrameIndex | None:
    """The frame on screen; ``None`` in 3D, or where the sliders are outside the image."""
    dims = viewer.dims
    displayed = {axis - (dims.ndim - stack.ndim) for axis in dims.displayed}
    if dims.ndisplay != 2 or min(displayed) < 0:
        return None
    point_data = to_data(viewer, image, dims.point)[-stack.ndim :]
    try:
        return stack.locate(point_data, displayed=tuple(displayed))[0]
    except SamError:
        return None


def point_in_frame(
    viewer: ViewerModel,
    image: Image,
    stack: FrameStack,
    frame: FrameIndex | None,
    point_world: Sequence[float],
) -> tuple[float, float] | None:
    """A position in the world as yx in a frame; ``None`` outside of it."""
    if frame is None:
        return None
    point_data = to_data(viewer, image, point_world)[-stack.ndim :]
    y, x = (float(c) for c, i in zip(point_data, frame, strict=True) if i is None)
    height, width = stack.frame_shape_of(frame)
    return (y, x) if -0.5 <= y < height - 0.5 and -0.5 <= x < width - 0.5 else None


def box_on_screen(
    viewer: ViewerModel,
    image: Image,
    stack: FrameStack,
    frame: FrameIndex | None,
    corners_world: Sequence[tuple[float, float]],
) -> Box | None:
    """The part of a frame around some corners ``(y0, x0, y1, x1)``; ``None`` if it is outside.

    Parameters
    ----------
    corners_world
        Positions on the two axes that are shown.
    """
    if frame is None:
        return None
    point_world = np.array(viewer.dims.point, float)
    corners = []
    for corner in corners_world:
        point_world[list(viewer.dims.displayed)] = corner
        point_data = to_data(viewer, image, point_world.tolist())[-stack.ndim :]
        corners.append([c for c, i in zip(point_data, frame, strict=True) if i is None])
    last = np.subtract(stack.frame_shape_of(frame), 1)
    (y0, x0), (y1, x1) = np.clip([np.min(corners, 0), np.max(corners, 0)], 0, last).tolist()
    return (y0, x0, y1, x1) if y0 < y1 and x0 < x1 else None


def id_at(labels: Labels, frame: FrameIndex | None, point_yx: tuple[float, float] | None) -> int:
    """The id that labels hold at a point of a frame; 0 where there is none."""
    if point_yx is None or frame is None:
        return 0
    pixel = iter(int(np.floor(c + 0.5)) for c in point_yx)
    return int(finest(labels)[tuple(next(pixel) if i is None else i for i in frame)])


def go_to_frame(viewer: ViewerModel, image: Image, frame: FrameIndex) -> None:
    """Move the sliders to a frame of an image."""
    point_world = to_world(viewer, image, [i or 0 for i in frame])[-len(frame) :]
    offset = viewer.dims.ndim - len(frame)
    for axis, i in enumerate(frame):
        if i is not None:
            viewer.dims.set_point(axis + offset, point_world[axis])
