"""The mask that a click would give, shown over the image without being written anywhere."""

from __future__ import annotations

from collections.abc import Callable

from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_sam.engine import FrameIndex, FrameStack
from napari_sam.session import Region

from .own_layers import new_preview, show_region


class Preview:
    """A layer of its own above the labels, in the viewer from the first time it is shown.

    If the user deletes it, it comes back with the next preview.

    Parameters
    ----------
    above
        Gives the labels layer it is above.
    """

    def __init__(
        self, viewer: ViewerModel, image: Image, stack: FrameStack, above: Callable[[], Labels]
    ) -> None:
        self.layer = new_preview(image, stack)
        self._viewer, self._image, self._stack, self._above = viewer, image, stack, above

    def show(self, region: Region, frame: FrameIndex | None) -> None:
        """Show a region of a frame; an empty one hides what is shown."""
        is_shown = bool(region) and frame is not None
        if is_shown and frame is not None:
            if self.layer not in self._viewer.layers:
                self._add()
            show_region(self.layer, region, self._image, frame)
        if self.layer.visible != is_shown:  # napari draws again even if nothing changes
            self.layer.visible = is_shown

    def _add(self) -> None:
        """Add a layer to the viewer. The active layer stays active."""
        self.layer = new_preview(self._image, self._stack)
        layers = self._viewer.layers
        active = layers.selection.active
        layers.insert(layers.index(self._above()) + 1, self.layer)
        layers.selection.active = active
