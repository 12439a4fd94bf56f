"""What of a frame is looked at for which objects: in large frames, crops that go along with them.

An object of a frame larger than the network's input is looked for in a crop around its last place,
in which it has a size that networks know. Objects near each other share one. Those at the border of
a crop are looked for in the next one, and here as well, so that neighbours share their pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import Crop, crop_following
from napari_sam.session import Propagated, Region

from .motion import REACH, diameter_of, shifted
from .track import Track


@dataclass(frozen=True, eq=False)
class View:
    """A crop of a frame, or all of it, and the objects that are looked for in it."""

    crop: Crop | None
    tracks: tuple[Track, ...]
    neighbours: tuple[Track, ...] = ()  # looked for elsewhere; they share the pixels

    @property
    def corner(self) -> tuple[int, int]:
        """Its first pixel in the frame."""
        return (0, 0) if self.crop is None else (self.crop.top, self.crop.left)

    @property
    def inside(self) -> list[Track]:
        """All objects, as if the crop were a frame of its own; what reaches out is cut off."""
        top, left = self.corner
        own = [track.moved(-top, -left) for track in self.tracks]
        if self.crop is None:
            return own
        cut = (
            (each, shifted(each.region, -top, -left, self.crop.shape)) for each in self.neighbours
        )
        return own + [
            replace(each.moved(-top, -left), region=region) for each, region in cut if region
        ]

    def outside(
        self, results: Iterable[tuple[Propagated, Track | None]]
    ) -> list[tuple[Propagated, Track | None]]:
        """What became of its own objects, in the frame again."""
        top, left = self.corner
        own = {track.object_id for track in self.tracks}
        return [
            (
                replace(propagated, mask=propagated.mask.moved(top, left)),
                None if track is None else track.moved(top, left),
            )
            for propagated, track in results
            if propagated.object_id in own
        ]


def choose_views(
    tracks: Sequence[Track], frame_shape: tuple[int, int], earlier: Iterable[Crop | None] = ()
) -> list[View]:
    """Where to look for objects; a frame that fits the network's input is looked at as a whole.

    Parameters
    ----------
    earlier
        The crops of the frame before: they are kept as long as the objects stay in them.
    """
    known = [crop for crop in earlier if crop is not None]
    chosen: dict[Crop | None, list[Track]] = {}
    for track in tracks:
        crop = crop_following(track.region.window, _room(track), frame_shape, known)
        if crop is not None and crop not in known:
            known.append(crop)
        chosen.setdefault(crop, []).append(track)
    if len(chosen) < 2:
        return [View(crop, tuple(own)) for crop, own in chosen.items()]
    windows = np.array([_wide(track) for track in tracks])
    return [View(crop, tuple(own), _beside(own, tracks, windows)) for crop, own in chosen.items()]


def crop_of(region: Region, frame_shape: tuple[int, int]) -> Crop | None:
    """The crop to see an object in that has not moved yet; ``None``: the whole frame."""
    return crop_following(region.window, REACH * diameter_of(region), frame_shape)


def _room(track: Track) -> float:
    """How far it may be from its last place, in pixels."""
    return REACH * diameter_of(track.region) + max(map(abs, track.velocity))


def _wide(track: Track) -> tuple[float, float, float, float]:
    """The window in which it is looked for."""
    y0, x0, y1, x1 = track.region.window
    room = _room(track)
    return y0 - room, x0 - room, y1 + room, x1 + room


def _beside(
    own: Sequence[Track], tracks: Sequence[Track], windows: NDArray[np.float64]
) -> tuple[Track, ...]:
    """Other objects that may want the same pixels as one of a view's own."""
    ids = {track.object_id for track in own}
    mine = windows[[track.object_id in ids for track in tracks]]
    return tuple(
        track
        for track, (y0, x0, y1, x1) in zip(tracks, windows, strict=True)
        if track.object_id not in ids
        if ((mine[:, :2] < (y1, x1)) & (mine[:, 2:] > (y0, x0))).all(axis=1).any()
    )
