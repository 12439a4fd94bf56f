"""What can be said of a propagation: one config for Python, files, commands and the window."""

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
        If an option is not what it can be.
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
