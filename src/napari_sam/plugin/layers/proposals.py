"""Objects that were found and not accepted yet, shown over the image without being written."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_sam.engine import Box, FoundObject, FrameIndex, FrameStack, common_window

from .own_layers import placement, show_pixels

Colour: TypeAlias = tuple[float, float, float, float]  # RGBA, 0 to 1

NOT_DRAWN = ("duplicate", "in another tile")
DROPPED, CHOSEN, FIRST = 1, 2, 3  # values of pixels; from FIRST on the colours of those that stand
LINES_ACROSS = 400  # so many outlines of boxes are as wide as the frame
N_COLOURS = 13  # no multiple of 3: each click has as many proposals, of which one stands
GOLDEN_RATIO = 0.618034  # of the hue circle between an object and the next
STANDING_ALPHA = 0.55
DROPPED_COLOUR = (0.6, 0.6, 0.6, 0.5)
CHOSEN_COLOUR = (1.0, 1.0, 1.0, 0.8)


class Picture(NamedTuple):
    """Pixels to be shown over a frame, from a corner yx of it on."""

    pixels: NDArray[np.uint8]
    corner: tuple[int, int] = (0, 0)


class Proposals:
    """A layer of its own above the labels, in the viewer from the first time it is shown.

    Parameters
    ----------
    above
        The labels it lies above.
    name
        Of the layer, behind that of the image.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        stack: FrameStack,
        above: Labels,
        name: str = "proposals",
    ) -> None:
        self.layer = new_proposals(image, stack, name)
        self._viewer, self._image, self._above = viewer, image, above

    def show(self, picture: Picture, frame: FrameIndex) -> None:
        """Show a picture of a frame, or of a part of it."""
        layers = self._viewer.layers
        if self.layer not in layers and self._above in layers:
            active = layers.selection.active
            layers.insert(layers.index(self._above) + 1, self.layer)
            layers.selection.active = active  # the tool stays in hand
        show_pixels(self.layer, picture.pixels, self._image, frame, picture.corner)
        self.set_visible(True)

    def set_visible(self, on: bool) -> None:
        """Show the layer or hide it; napari draws again even if nothing changes."""
        if self.layer.visible != on:
            self.layer.visible = on


def new_proposals(image: Image, stack: FrameStack, name: str = "proposals") -> Labels:
    """A layer for the picture of a frame."""
    colours: dict[int | None, Colour] = {None: (0.0, 0.0, 0.0, 0.0)}
    colours |= {DROPPED: DROPPED_COLOUR, CHOSEN: CHOSEN_COLOUR}
    colours |= {FIRST + n: _colour(n) for n in range(N_COLOURS)}
    return Labels(
        np.zeros((1,) * stack.ndim, np.uint8),
        name=f"{image.name} {name}",
        colormap=DirectLabelColormap(color_dict=colours),
        opacity=1.0,
        visible=False,
        **placement(image, stack.ndim),
    )


def draw_proposals(found: Sequence[FoundObject], chosen: Collection[int]) -> Picture:
    """A picture of those that stand filled, better ones on top; dropped ones in outline.

    Duplicates of what stands are left out. It touches no layer: any thread may do it.

    Parameters
    ----------
    chosen
        Positions of those that are marked.
    """
    drawn = [n for n, each in enumerate(found) if each.dropped not in NOT_DRAWN]
    top, left, bottom, right = common_window([found[n] for n in drawn]) if drawn else (0, 0, 1, 1)
    picture = np.zeros((bottom - top, right - left), np.uint8)
    here = {n: found[n].moved(-top, -left) for n in drawn}
    dropped = [each for each in here.values() if each.dropped is not None]
    for each in sorted(dropped, key=lambda each: -each.area):
        mask, there = each.mask, picture[each.where]
        there[mask] = 0
        there[_rim(mask)] = DROPPED
    standing = [n for n, each in here.items() if each.dropped is None]
    for n in sorted(standing, key=lambda n: found[n].score):
        value = CHOSEN if n in chosen else FIRST + n % N_COLOURS
        picture[here[n].where][here[n].mask] = value
    return Picture(picture, (top, left))


def draw_boxes(boxes: Sequence[tuple[Box, str]], frame_shape: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture ``(H, W)`` of the outlines of boxes, a colour for each name."""
    picture = np.zeros(frame_shape, np.uint8)
    width = max(1, round(max(frame_shape) / LINES_ACROSS))
    names = list(dict.fromkeys(name for _, name in boxes))
    for box, name in boxes:
        y0, x0, y1, x1 = (math.ceil(edge) for edge in box)
        value = FIRST + names.index(name) % N_COLOURS
        inside = picture[max(0, y0) : y1, max(0, x0) : x1]
        for lines in (inside[:width], inside[-width:], inside[:, :width], inside[:, -width:]):
            lines[:] = value
    return picture


def _rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask that have one outside of it beside them."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    rim: NDArray[np.bool_] = mask & ~inner
    return rim


def _colour(n: int) -> Colour:
    return (*colorsys.hsv_to_rgb((n * GOLDEN_RATIO) % 1, 0.8, 1.0), STANDING_ALPHA)
