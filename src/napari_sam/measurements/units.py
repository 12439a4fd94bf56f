"""The units of what is measured, as the names of columns say them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from napari_sam.engine import SamError

PIXEL = "px"
SHORT = {
    **dict.fromkeys(("micrometer", "micrometre", "micron", "microns", "µm", "μm", "um"), "um"),
    **dict.fromkeys(("nanometer", "nanometre", "nm"), "nm"),
    **dict.fromkeys(("millimeter", "millimetre", "mm"), "mm"),
    **dict.fromkeys(("centimeter", "centimetre", "cm"), "cm"),
    **dict.fromkeys(("meter", "metre", "m"), "m"),
    **dict.fromkeys(("angstrom", "å"), "angstrom"),
    **dict.fromkeys(("second", "seconds", "sec", "s"), "s"),
    **dict.fromkeys(("millisecond", "milliseconds", "msec", "ms"), "ms"),
    **dict.fromkeys(("minute", "minutes", "min"), "min"),
    **dict.fromkeys(("hour", "hours", "hr", "h"), "h"),
    **dict.fromkeys(("pixel", "pixels", "px", "", "dimensionless"), PIXEL),
}


def short(unit: str) -> str:
    """A unit as in the name of a column: "micrometer" is "um"."""
    return SHORT.get(unit.strip().lower(), "_".join(unit.split()))


@dataclass(frozen=True)
class Units:
    """The size of a pixel along two or three axes of space, in one unit."""

    size: tuple[float, ...]  # (z), y, x
    length: str  # "um"; "px": then each size is 1

    @classmethod
    def of(cls, scale: Sequence[float], units: Sequence[str]) -> Units:
        """Those of some axes; pixels where the axes have none, or different ones.

        Raises
        ------
        SamError
            If a pixel has no size.
        """
        sizes = tuple(abs(float(each)) for each in scale)
        if not all(math.isfinite(each) and each > 0 for each in sizes):
            raise SamError(f"Pixels of the size {tuple(scale)} do not exist. Give numbers above 0.")
        names = {short(unit) for unit in units}
        if names == {PIXEL} or len(names) != 1:
            return cls((1.0,) * len(sizes), PIXEL)
        return cls(sizes, names.pop())

    @property
    def area(self) -> str:
        """Of an area: "um2"."""
        return f"{self.length}2"

    @property
    def volume(self) -> str:
        """Of a volume: "um3"."""
        return f"{self.length}3"

    @property
    def in_pixels(self) -> bool:
        """Whether no size is known."""
        return self.length == PIXEL

    @property
    def is_square(self) -> bool:
        """Whether the pixels of a frame are as high as wide."""
        return math.isclose(self.size[-2], self.size[-1], rel_tol=1e-4)
