"""How a model is written as ONNX."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from napari_sam.engine import about, check_options

Weights = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True)
class OnnxOptions:
    """How weights are stored; what is computed is in single precision."""

    weights: Weights = field(
        default="fp32",
        metadata=about(
            "Weights",
            "How weights are stored: fewer bits make smaller files.",
            choices={
                "fp32": "Single precision",
                "fp16": "Half precision",
                "int8": "256 steps for each output channel",
            },
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)
