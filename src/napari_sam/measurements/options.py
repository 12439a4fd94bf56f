"""What is measured, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from napari_sam.engine import about, check_options

Background: TypeAlias = Literal["frame", "ring"]
Extent: TypeAlias = Literal["frame", "volume"]


@dataclass(frozen=True)
class MeasureOptions:
    """What is measured of objects.

    Raises
    ------
    SamError
        If a value is not allowed.
    """

    each: Extent | None = field(
        default=None,
        metadata=about(
            "Measure",
            "Objects frame by frame, or through all slices of a volume; by default a volume where "
            "the labels have an axis Z.",
            choices={"frame": "each frame", "volume": "whole volumes"},
            unset="as the axes say",
        ),
    )
    background: Background | None = field(
        default=None,
        metadata=about(
            "Background",
            "Taken off all intensities but their spread: the median of what is no object in the "
            "frame, or in a ring around each object.",
            choices={"frame": "of the frame", "ring": "around each object"},
            unset="leave it",
        ),
    )
    ring: int = field(
        default=5,
        metadata=about(
            "Ring",
            "How wide the ring around an object is, in pixels; it begins one pixel away from it.",
            least=1,
            most=1000,
            unit="px",
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)
