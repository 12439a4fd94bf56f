"""The outline of the object in hand, so that it is seen which of many it is."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

from napari_sam.engine import FrameIndex, FrameStack
from napari_sam.session import Region

from .own_layers import new_outline, show_region


class Outline:
    """A layer of its own. Who hides or deletes it is not shown it again."""

    def __init__(self, viewer: ViewerModel, image: Image, stack: FrameStack) -> None:
        self.layer = new_outline(image, stack)
        self._viewer, self._image = viewer, image
        self._shown: tuple[Region, FrameIndex | None] = (Region.empty(), None)

    def show(self, region: Region, frame: FrameIndex | None) -> None:
        """Show the outline of a region of a frame; an empty one hides it."""
        if (region, frame) == self._shown or self.layer not in self._viewer.layers:
            return
        self._shown = (region, frame)
        if region and frame is not None:
            padded = Region(region.top - 1, region.left - 1, np.pad(region.pixels, 1))
            show_region(self.layer, padded, self._image, frame)
        elif self.layer.data.any():
            self.layer.data = np.zeros_like(self.layer.data)
