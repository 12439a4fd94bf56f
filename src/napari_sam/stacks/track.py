"""An object on its way from frame to frame, and the frames it is looked for in."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

from napari_sam.engine import FrameIndex

if TYPE_CHECKING:
    from napari_sam.engine import Embedding

from napari_sam.session import Region

from .appearance import UNCHANGED, Appearance, Change
from .motion import Picture

SLACK = 1  # pixels around its place in the first slice that are home to an object, too
NO_REGION = Region.empty()
MEMORY = 0.9  # of earlier disagreements, in the next frame
LEAST_AGREEMENT = 0.02
HABIT = 0.8  # of how large an object was before, in its usual area


class Loss(NamedTuple):
    """How far what was found on the way leads back to where it came from."""

    recent: float = 0.0  # minus the logarithms of the agreements, the last most
    most: float = 0.0  # that was so far: what is lost stays lost

    def after(self, agreement: float) -> Loss:
        """The same one frame further."""
        recent = MEMORY * self.recent - math.log(max(agreement, LEAST_AGREEMENT))
        return Loss(recent, max(self.most, recent))


NOT_LOST = Loss()


@dataclass(frozen=True, eq=False)
class Track:
    """An object as it is in the latest frame."""

    object_id: int
    region: Region
    source: FrameIndex
    velocity: tuple[float, float] = (0.0, 0.0)  # yx, pixels from frame to frame
    low_confidence: int = 0  # frames in a row
    appearance: Appearance | None = None  # in the first slice, along depth
    home: Region = NO_REGION  # and its place there, with some slack
    change: Change = UNCHANGED  # since then
    unsure_from: FrameIndex | None = None  # the frame before which it may have ended already
    lost: Loss = NOT_LOST
    usual: float = 1.0  # pixels, the geometric mean so far, of the last frames most
    whole: int = 0  # pixels it had when all of it was last in the frame, or the most since

    @classmethod
    def in_time(cls, object_id: int, region: Region, source: FrameIndex) -> Track:
        """An object that starts in time."""
        return cls(object_id, region, source, usual=region.area, whole=region.area)

    @classmethod
    def in_depth(
        cls,
        object_id: int,
        region: Region,
        source: FrameIndex,
        reference: Region,
        picture: Picture,
    ) -> Track:
        """An object that starts along depth, with its appearance in the slice of a picture."""
        grown = np.pad(reference.pixels, SLACK)
        home = ndimage.binary_dilation(grown, iterations=SLACK)
        y0, x0 = reference.top - SLACK, reference.left - SLACK
        return cls(
            object_id,
            region,
            source,
            appearance=Appearance.of(reference, picture),
            home=Region(y0, x0, home),
        )

    def moved(self, dy: int, dx: int) -> Track:
        """The same in a frame whose first pixel is elsewhere."""
        return replace(self, region=self.region.moved(dy, dx), home=self.home.moved(dy, dx))

    def usual_after(self, region: Region) -> float:
        """How large the object has usually been, once it was found in the next frame."""
        return float(self.usual**HABIT * region.area ** (1 - HABIT))

    def whole_after(self, region: Region, frame_shape: tuple[int, int]) -> int:
        """How many pixels all of the object has, once it was found in the next frame."""
        if reaches_border(region, frame_shape):
            return max(self.whole, region.area)
        return region.area


def reaches_border(region: Region, frame_shape: tuple[int, int]) -> bool:
    """Whether a region ends at the frame's border, so that there may be more of it."""
    top, left, bottom, right = region.window
    return min(top, left) == 0 or bottom == frame_shape[0] or right == frame_shape[1]


class Before(NamedTuple):
    """The frame last looked at; the first one needs no embedding."""

    picture: Picture
    embedding: Embedding | None = None


class Scene(NamedTuple):
    """A frame to find objects in."""

    frame: FrameIndex
    picture: Picture
    embedding: Embedding
