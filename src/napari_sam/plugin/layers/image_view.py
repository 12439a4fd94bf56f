"""The part of an image on screen, and how to move to the rest."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from napari.components import Camera, ViewerModel
from napari.layers import Image

from napari_sam.engine import Crop, FrameIndex, crop_on_screen, crops_beside, is_large
from napari_sam.session import Region, Session

from .view import box_on_screen, go_to_frame, point_in_frame, shown_frame
from .world import to_world

ROOM = 3.0  # an object zoomed to has so many of its own sides to be seen in


class ImageView:
    """The frame of an image that a viewer shows."""

    viewer: ViewerModel
    image: Image
    session: Session
    frame: FrameIndex | None  # on screen

    @property
    def is_drawing(self) -> bool:
        """Whether a shape is being drawn: napari cannot change the frame until it is done."""
        raise NotImplementedError

    def shown_frame(self) -> FrameIndex | None:
        """The frame on screen; ``None`` in 3D, or where the sliders are outside this image."""
        return shown_frame(self.viewer, self.image, self.session.stack)

    def point_in_frame(self, point_world: Sequence[float]) -> tuple[float, float] | None:
        """A position of the cursor as yx in the shown frame; ``None`` outside of it."""
        return point_in_frame(self.viewer, self.image, self.session.stack, self.frame, point_world)

    def look_at_screen(self) -> None:
        """Tell the session which part of the shown frame is on screen."""
        corners = corners_on_screen(self.viewer)
        stack = self.session.stack
        self.session.seen = box_on_screen(self.viewer, self.image, stack, self.frame, corners)

    @property
    def is_large(self) -> bool:
        """Whether the shown frame is larger than the network's input."""
        return self.frame is not None and is_large(self.session.stack.frame_shape_of(self.frame))

    @property
    def crops_beside(self) -> list[Crop]:
        """The crops that clicks at the border of the screen are looked at in."""
        session = self.session
        if self.frame is None or session.seen is None:
            return []
        frame_shape = session.stack.frame_shape_of(self.frame)
        return crops_beside(session.seen, frame_shape, session.expected_diameter)

    @property
    def crop_on_screen(self) -> Crop | None:
        """The part of the shown frame that a click in its middle is looked at in; ``None``: all."""
        session = self.session
        if self.frame is None or session.seen is None:
            return None
        frame_shape = session.stack.frame_shape_of(self.frame)
        return crop_on_screen(session.seen, frame_shape, session.expected_diameter)

    def go_to(self, object_id: int) -> None:
        """Move the sliders to a frame that holds an object, unless one is shown."""
        frames = self.session.prompted_frames(object_id)
        if not frames:
            found = (each.frames for each in self.session.objects() if each.object_id == object_id)
            frames = set(next(found, ()))
        self.show_one_of(frames)

    def show_one_of(self, frames: Collection[FrameIndex]) -> None:
        """Move the sliders to the nearest of some frames, unless one of them is shown."""
        if not frames or self.frame in frames:
            return
        shown = [i or 0 for i in self.frame or ()]

        def farness(frame: FrameIndex) -> tuple[int, list[int]]:
            at = [i or 0 for i in frame]
            return sum(abs(a - s) for a, s in zip(at, shown, strict=False)), at

        self.show_frame(min(frames, key=farness))

    def show_frame(self, frame: FrameIndex) -> None:
        """Move the sliders to a frame, unless a shape is being drawn."""
        if not self.is_drawing:
            go_to_frame(self.viewer, self.image, frame)

    def region_shown(self, object_id: int) -> Region:
        """The pixels of an object in the frame on screen."""
        if self.frame is None:
            return Region.empty()
        current = self.session.current(object_id, self.frame)
        if current is not None:
            return current.footprint.landed
        return self.session.region(object_id, self.frame)

    def zoom_to(self, object_id: int) -> None:
        """Let an object fill a good part of the canvas, in a frame in which it is."""
        self.go_to(object_id)
        region = self.region_shown(object_id)
        if not region or self.frame is None:
            return
        y0, x0, y1, x1 = region.window
        corners_world = []
        for corner in ((y0, x0), (y0, x1), (y1, x0), (y1, x1)):
            at = iter(corner)
            place = [next(at) if i is None else i for i in self.frame]
            point_world = np.zeros(self.viewer.dims.ndim)
            point_world[-self.image.ndim :] = to_world(self.viewer, self.image, place)
            corners_world.append(point_world[list(self.viewer.dims.displayed)])
        low, high = np.min(corners_world, axis=0), np.max(corners_world, axis=0)
        camera, canvas = camera_of(self.viewer), canvas_size(self.viewer)
        camera.center = (0.0, *(low + high) / 2)
        camera.zoom = float(np.min(canvas / (ROOM * np.maximum(high - low, 1e-9))))


def canvas_size(viewer: ViewerModel) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Height and width of a viewer's canvas, in pixels of the screen."""
    size = viewer.canvas.size if hasattr(viewer, "canvas") else viewer._canvas_size
    return np.asarray(size, float)


def corners_on_screen(viewer: ViewerModel) -> list[tuple[float, float]]:
    """The corners of the canvas as positions in the world, on the two axes that are shown.

    From the camera: what layers say of their corners is not right with every transform.
    """
    camera = camera_of(viewer)
    y, x = camera.center[-2:]
    height, width = canvas_size(viewer) / camera.zoom / 2
    return [(y + up * height, x + along * width) for up in (-1, 1) for along in (-1, 1)]


def camera_of(viewer: ViewerModel) -> Camera:
    """The camera of a viewer; part of its scene since napari 0.9."""
    camera: Camera = getattr(viewer, "scene", viewer).camera
    return camera
