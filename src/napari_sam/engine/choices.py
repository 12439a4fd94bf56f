"""The options that many jobs share: how an image is read, and which model runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .options import DeviceName, ModelName, about, check_options

Shape: TypeAlias = Literal["mask", "box", "point"]
"""What prompts an object whose pixels are known."""


@dataclass(frozen=True)
class ImageChoice:
    """How an image file is read.

    Raises
    ------
    SamError
        If a value is not allowed.
    """

    channel: tuple[int, ...] | None = field(
        default=None,
        metadata=about(
            "Channels",
            "Channel to look at, counted from 0; several: give it several times. All by default.",
            least=0,
            metavar="N",
        ),
    )
    axes: str | None = field(
        default=None,
        metadata=about(
            "Axes",
            "One letter for each axis, if the file does not name its axes or is wrong: Y and X of "
            "the frame, C for channels, T, Z and others.",
            metavar="ZYX",
        ),
    )
    series: str | None = field(
        default=None,
        metadata=about(
            "Series",
            "Which image of a file that holds several: its name, or its number from 0.",
            metavar="NAME",
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class PromptChoice:
    """What of prompts from anywhere is decoded, and as what.

    Raises
    ------
    SamError
        If a value is not allowed.
    """

    shape: Shape = field(
        default="mask",
        metadata=about(
            "Objects as",
            "What prompts an object of which the file has pixels, such as labels and polygons: its "
            "mask, the box around it, or the point deepest in it.",
            choices={"mask": "masks", "box": "boxes", "point": "points"},
        ),
    )
    min_score: float = field(
        default=0.0,
        metadata=about(
            "Lowest score",
            "Leave out what its detector gave a lower score, 0 to 1; prompts without one stay.",
            least=0.0,
            most=1.0,
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class TextChoice:
    """What is looked for by words, with which detector.

    Raises
    ------
    SamError
        If a value is not allowed.
    """

    text: tuple[str, ...] | None = field(
        default=None,
        metadata=about(
            "Look for",
            'What to look for, in a word or a few: "nucleus". Its boxes are prompts, and the words '
            "their class. Several: give it several times.",
            metavar="WORDS",
        ),
    )
    detector: str = field(
        default="owlv2-base",
        metadata=about(
            "Detector",
            "What finds them: a name of `napari-sam detectors list`, OWNER/NAME of huggingface.co, "
            "or a folder.",
            metavar="NAME",
        ),
    )
    text_threshold: float | None = field(
        default=None,
        metadata=about(
            "Threshold",
            "Leave out what the detector gave a lower score, 0 to 1; by default 0.1 for OWLv2, "
            "0.25 for Grounding DINO.",
            least=0.0,
            most=1.0,
            unset="the detector's own",
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class ModelChoice:
    """Which model runs, on which device, in which precision.

    Raises
    ------
    SamError
        If a value is not allowed.
    """

    model: ModelName = field(
        default=ModelName("pocket"),
        metadata=about(
            "Model",
            "A model of `napari-sam models list`, or a file of weights.",
            metavar="NAME",
        ),
    )
    device: DeviceName = field(
        default=DeviceName("auto"),
        metadata=about(
            "Device",
            "auto, cpu, cuda or mps; auto: the GPU if there is one.",
            metavar="NAME",
        ),
    )
    precision: str = field(
        default="auto",
        metadata=about(
            "Precision",
            "auto, fp32, or bf16: faster on some computers.",
            metavar="NAME",
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class EncodingChoice(ModelChoice):
    """A model that encodes many frames, and which frames."""

    compiled: bool = field(
        default=False,
        metadata=about(
            "Compile",
            "Compile the encoder on a GPU: the first frame takes a minute longer, the others are "
            "faster.",
            also=("--compile",),
        ),
    )
    frames: str = field(
        default="all",
        metadata=about(
            "Frames",
            "Which time points or slices, counted from 0: 7, 0-20 or 0-20,35.",
            metavar="all|0-20",
        ),
    )
