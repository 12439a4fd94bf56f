"""The options of a training run and of an evaluation, for Python, files and commands."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_sam.engine import about, check_options


@dataclass(frozen=True)
class TrainingConfig:
    """One training run. Values that are not options are set for the embedded network, from scratch.

    Raises
    ------
    SamError
        If a value is not allowed.
    """

    minutes: float = field(
        default=10.0,
        metadata=about("Time", "How long to train.", least=0.01, unit="minutes", metavar="N"),
    )  # of wall time, over which the rate falls as a cosine
    steps: int | None = field(
        default=None,
        metadata=about(
            "Steps",
            "Train this number of steps instead: the same result on any computer.",
            least=1,
            metavar="N",
        ),
    )
    seed: int = field(
        default=0,
        metadata=about(
            "Seed", "Another number gives other random crops and prompts.", least=0, metavar="N"
        ),
    )
    crops: int = 5  # images per step and worker
    crop_size: int = 256
    objects: int = 3  # per image
    whole_share: float = 0.15  # of the steps: objects seen in whole crops, not in windows of them
    clicks: int = 16  # per crop, for the click kernels
    rounds: tuple[float, ...] = (0.33, 0.25, 0.2, 0.14, 0.08)  # chances of 1, 2 … rounds of prompts
    dense_share: float = 0.12  # of the run: click kernels only, a gradient at every pixel
    rate: float = 1.5e-3
    warm_up: int = 100  # steps
    weight_decay: float = 0.02
    clip: float = 1.0
    ema: float = 0.998
    synthetic_share: float = 0.4  # of the crops
    synthetic_images: int = 600
    maps_only: bool = False  # masks stay as they are; only the maps of objects learn
    bf16: bool | None = None  # None: where the device has units for it

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class EvaluationOptions:
    """How models are judged.

    Raises
    ------
    SamError
        If a value is not allowed.
    """

    max_objects: int = field(
        default=10,
        metadata=about(
            "Objects",
            "How many objects of each frame are tried, drawn at random.",
            least=1,
            metavar="N",
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)
