"""Options of propagation and of linking, for Python, files, commands and the window."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from napari_sam.engine import Axis, about, check_options

Direction: TypeAlias = Literal["forward", "backward", "both", "between"]
Through: TypeAlias = Literal["time", "depth"]


@dataclass(frozen=True)
class PropagationOptions:
    """Where objects are propagated to from an annotated frame.

    Raises
    ------
    SamError
        If a value is not allowed.
    """

    direction: Direction = field(
        default="forward",
        metadata=about(
            "Direction",
            "Which way to go; between: only from one annotated frame to the next. Frames that you "
            "prompted, painted or confirmed are never changed.",
            choices={
                "forward": "forwards",
                "backward": "backwards",
                "both": "both ways",
                "between": "between annotated frames",
            },
        ),
    )
    n_frames: int | None = field(
        default=None,
        metadata=about(
            "Over",
            "How many frames to go at most; by default all, or up to the object's next annotated "
            "one.",
            least=1,
            unit="frames",
            unset="to the end",
            metavar="N",
            also=("--frames",),
        ),
    )
    axis: Axis | None = field(
        default=None,
        metadata=about(
            "Along",
            "The axis to go along, counted from 0; by default the first one that leads to frames.",
            least=0,
            metavar="N",
        ),
    )
    through: Through | None = field(
        default=None,
        metadata=about(
            "Through",
            "What that axis is, where the file does not say. In time objects move and divide; in "
            "depth they stay where they are, and end.",
            choices={"time": "time: objects move", "depth": "depth: objects stay, and end"},
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class LinkRules:
    """Rules for linking regions of two frames. Lengths are in diameters of the median region.

    Raises
    ------
    SamError
        If a value is not allowed.
    """

    reach: float = field(
        default=1.5,
        metadata=about(
            "Reach",
            "How far an object moves from frame to frame at most, in its diameters.",
            least=0.01,
            unit="diameters",
            metavar="DIAMETERS",
        ),
    )
    area_weight: float = 0.25  # a doubled area counts as if it had moved so far
    gap: int = field(
        default=2,
        metadata=about(
            "Gap",
            "In how many frames an object may be missing; 0: in none.",
            least=0,
            unit="frames",
            metavar="N",
        ),
    )
    division_reach: float = field(
        default=1.0,
        metadata=about(
            "Division",
            "How far daughters are from their mother at most, in its diameters; 0: none divides.",
            least=0,
            unit="diameters",
            metavar="DIAMETERS",
        ),
    )
    off_centre: float = 0.5  # of the middle between two daughters, from their mother
    likeness: float = 0.5  # of the smaller daughter's area to the larger one's at least
    life: int = 3  # frames in which daughters must be there, if the stack is long enough

    def __post_init__(self) -> None:
        check_options(self)


IN_DEPTH = LinkRules(reach=0.5, gap=1, division_reach=0.0)  # slices of one object lie on another


@dataclass(frozen=True)
class RefineRules:
    """How an object is asked for, and when the answer takes its place.

    Raises
    ------
    SamError
        If a value is not allowed.
    """

    loosen: float = field(
        default=0.0,
        metadata=about(
            "Loosen by",
            "Grow each object by this share of its diameter before its mask is the prompt: 0.05 "
            "for labels that are too small.",
            least=0.0,
            most=1.0,
        ),
    )
    min_iou: float = field(
        default=0.5,
        metadata=about(
            "Lowest agreement",
            "Replace an object only where the IoU of the answer with it is as high as this.",
            least=0.0,
            most=1.0,
        ),
    )
    min_score: float = field(
        default=0.7,
        metadata=about(
            "Lowest score",
            "Replace an object only where the model's IoU prediction is as high as this.",
            least=0.0,
            most=1.0,
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)
