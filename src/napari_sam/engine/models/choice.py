"""What can be said of the model that a job runs: one config for Python, files and commands."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_sam.engine.options import DeviceName, ModelName, about, check_options


@dataclass(frozen=True)
class ModelChoice:
    """Which network computes, where and how.

    Raises
    ------
    SamError
        If an option is not what it can be.
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
            "auto, fp32, or bf16: quicker on some computers.",
            metavar="NAME",
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)
