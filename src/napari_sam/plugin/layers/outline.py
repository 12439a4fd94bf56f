"""The outline of the current object, which shows which of many it is."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from scipy import ndimage

from napari_sam.engine import FrameIndex, FrameStack
from napari_sam.session import Region

from .own_layers import new_outline, show_region

OUTLINES_ACROSS = 600  # so many outlines are as wide as the frame
ACROSS_OBJECT = 8  # and so many at least as wide as the object, which stays visible in a large one


class Outline:
    """A separate layer. If the user hides or deletes it, it is not shown again."""

    def __init__(self, viewer: ViewerModel, image: Image, stack: FrameStack) -> None:
        self.layer = new_outline(image, stack)
        self._viewer, self._image = viewer, image
        self._width = max(1, round(max(stack.frame_shape) / OUTLINES_ACROSS))
        self._shown: tuple[Region, FrameIndex | None] = (Region.empty(), None)

    def forget(self) -> None:
        """What is shown lies elsewhere by now, and is shown again."""
        self._shown = (Region.empty(), None)

    def show(self, region: Region, frame: FrameIndex | None) -> None:
        """Show the outline of a region of a frame; an empty one hides it."""
        if (region, frame) == self._shown or self.layer not in self._viewer.layers:
            return
        self._shown = (region, frame)
        if region and frame is not None:
            width = min(self._width, max(2, min(region.pixels.shape) // ACROSS_OBJECT))
            show_region(self.layer, rim(region, width), self._image, frame)
        elif self.layer.data.any():
            self.layer.data = np.zeros_like(self.layer.data)


def rim(region: Region, width: int) -> Region:
    """The pixels of a region that are at most so far from others."""
    inner = ndimage.binary_erosion(np.pad(region.pixels, 1), iterations=width)[1:-1, 1:-1]
    return Region(region.top, region.left, region.pixels & ~inner)
