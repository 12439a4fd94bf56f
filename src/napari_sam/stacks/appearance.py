"""The appearance of an object in its first slice, and how much it has changed since.

Nothing moves along depth: an object stays where it is, grows, shrinks and ends, and under its
place another one may begin. So every slice is compared with the first one rather than with the
last. Three things tell where an object has ended: how fast its outline changes from slice to slice;
how far its brightness is from what it was, against its contrast in the first slice; and, of what
is recognised by brightness, how much of it is outside its first place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.session import Region
from napari_sam.session.region import Window

from .decoding import Decoded
from .motion import Picture, diameter_of

NEAR = 0.2  # diameters around an object that are next to it, and at least
LEAST_NEAR = 4  # pixels
FAR = 1.0  # diameters around an object that are its surroundings
GRAIN = 1 / 24  # of a diameter, and at least a pixel: what is finer is noise
MARGIN = 3.0  # grains, beyond which nothing comes into a smoothed pixel
LEVEL = 0.4  # of the way from the surroundings to the object: where its border is
CLEAR = (1.0, 2.0)  # separations at which brightness begins to tell, and tells all
SUREST = 8.0  # logits
LEAST_SPREAD = 1e-6
LEAST_OVERLAP = 0.02  # what overlaps less has changed as much


@dataclass(frozen=True)
class Appearance:
    """How bright an object and its surroundings are."""

    inside: float
    outside: float  # next to it
    spread: float  # standard deviation within either
    separation: float  # of the object from its surroundings, in spreads
    grain: float  # pixels: how much its picture is smoothed
    stretched: bool = False  # whether all that is in grey values of the slice as it is shown

    @classmethod
    def of(cls, region: Region, picture: Picture) -> Appearance:
        """Of an object in a slice.

        Where brightness does not tell it from its surroundings, only how bright it is among them
        counts: sections of tissue differ in brightness as a whole.
        """
        own = cls._measured(region, picture, stretched=False)
        return own if own.weight else cls._measured(region, picture, stretched=True)

    @classmethod
    def _measured(cls, region: Region, picture: Picture, *, stretched: bool) -> Appearance:
        diameter = diameter_of(region)
        grain = max(1.0, GRAIN * diameter)
        near, far = max(LEAST_NEAR, round(NEAR * diameter)), max(LEAST_NEAR, round(FAR * diameter))
        y0, x0, y1, x1 = region.window
        height, width = picture.frame_shape
        window = (max(0, y0 - far), max(0, x0 - far), min(height, y1 + far), min(width, x1 + far))
        values = picture.brightness(window, grain, stretched=stretched)
        away = _distance(region.within(window))
        inner = values[away == 0]
        contrasts = []
        for width in (far, near):
            outer = values[(away > 0) & (away <= width)]
            spread = max(math.sqrt((inner.var() + outer.var()) / 2), LEAST_SPREAD)
            contrasts.append(float(inner.mean() - outer.mean()) / spread)
        alike = contrasts[0] * contrasts[1] > 0  # else it has but a border of another brightness
        separation = min(map(abs, contrasts)) if alike else 0.0
        means = float(inner.mean()), float(outer.mean())
        return cls(*means, spread, separation, grain, stretched)

    @property
    def weight(self) -> float:
        """How much brightness tells the object from its surroundings, 0 to 1."""
        least, most = CLEAR
        return min(max((self.separation - least) / (most - least), 0.0), 1.0)

    def evidence(self, picture: Picture, window: Window) -> NDArray[np.float32]:
        """Logits: the evidence of each pixel's brightness in a window for the object.

        Objects that fill space differ from their neighbours by their borders alone: there it says
        nothing, and the network everything.
        """
        values = picture.brightness(window, self.grain)
        level = self.outside + LEVEL * (self.inside - self.outside)
        slope = self.weight * (self.inside - self.outside) / self.spread**2
        logits: NDArray[np.float32] = np.clip(slope * (values - level), -SUREST, SUREST)
        return logits

    def is_gone(self, region: Region, picture: Picture) -> bool:
        """Whether nothing as bright or dark as the object is in a region."""
        evidence = self.evidence(picture, region.window)[region.pixels]
        return bool(evidence.mean() < 0)

    def fading(self, region: Region, picture: Picture) -> float:
        """How much brighter or darker a region is than the object was.

        In units of its contrast or, where that is less, of the spread.
        """
        margin = math.ceil(MARGIN * self.grain)
        y0, x0, y1, x1 = region.window
        window = (y0 - margin, x0 - margin, y1 + margin, x1 + margin)
        values = picture.brightness(window, self.grain, stretched=self.stretched)
        unit = max(abs(self.inside - self.outside), self.spread)
        return abs(float(values[region.within(window)].mean()) - self.inside) / unit


@dataclass(frozen=True)
class EndRules:
    """When an object is over along depth: its changes, weighted, add up to 1.

    Or they have come near to that for too long.
    """

    outline: float = 0.3
    brightness: float = 0.6
    place: float = 1.0
    memory: float = 0.9  # of the outline's changes so far, in the next slice
    sure: float = 0.75  # what they may add up to while it has certainly not ended
    patience: float = 0.5  # slices above that, of those before


@dataclass(frozen=True)
class Change:
    """How far an object has changed on its way from the first slice."""

    recent: float = 0.0  # minus the logarithms of its overlaps from slice to slice, the last most
    outline: float = 0.0  # the most that was so far
    brightness: float = 0.0  # the most it had faded so far
    place: float = (
        0.0  # minus the logarithm of its share inside its first place, the highest so far
    )
    n_sure: int = 1  # slices, the first one included
    n_unsure: int = 0  # slices in which it may have ended already

    def after(
        self, rules: EndRules, *, overlap: float, fading: float, at_home: float = 1.0
    ) -> Change:
        """The same one slice further. What has become another object stays one."""
        recent = rules.memory * self.recent + _lost(overlap)
        changed = Change(
            recent,
            max(self.outline, recent),
            max(self.brightness, fading),
            max(self.place, _lost(at_home)),
        )
        unsure = changed.total(rules) > rules.sure
        return replace(changed, n_sure=self.n_sure + (not unsure), n_unsure=self.n_unsure + unsure)

    def is_over(self, rules: EndRules) -> bool:
        """Whether this is another object, or has been uncertain for too long."""
        return self.total(rules) > 1 or self.n_unsure > rules.patience * self.n_sure

    def total(self, rules: EndRules) -> float:
        """All of it, weighted: the object is over where this is 1."""
        return sum(self._parts(rules).values())

    def reason(self, rules: EndRules) -> str:
        """The strongest evidence against being the same object."""
        parts = self._parts(rules)
        return max(parts, key=lambda reason: parts[reason])

    def _parts(self, rules: EndRules) -> dict[str, float]:
        """Each change, weighted, by the reason it gives."""
        return {
            "Its outline has changed too much since the first slice": rules.outline * self.outline,
            "Its brightness differs too much from that in the first slice": (
                rules.brightness * self.brightness
            ),
            "The mask found there is beside its position in the first slice": rules.place
            * self.place,
        }


def with_evidence(decoded: Decoded, appearance: Appearance | None, picture: Picture) -> Decoded:
    """The network's logits of an object, along depth with the evidence of its brightness."""
    if appearance is None or not appearance.weight:
        return decoded
    evidence = appearance.evidence(picture, decoded.window)
    return replace(decoded, values=decoded.values + evidence)


UNCHANGED, END_RULES = Change(), EndRules()


def _distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """From each pixel to the mask, in pixels."""
    away: NDArray[np.float64] = ndimage.distance_transform_edt(~mask)
    return away


def _lost(share: float) -> float:
    """Minus the logarithm of a share, within bounds."""
    return -math.log(min(max(share, LEAST_OVERLAP), 1.0))
