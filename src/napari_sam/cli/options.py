"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Option(help="A model's name, or a checkpoint's path.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of a table.")]


def numbers(option: str, text: str, wanted: str, counts: tuple[int, ...]) -> tuple[float, ...]:
    """The numbers in an option's value such as "30,40"."""
    from napari_sam.engine import PromptError

    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in counts:
        raise PromptError(f"{option} {text} cannot be read. Write {wanted}, such as 120,45.5.")
    return values


def whole_numbers(frame: str) -> list[int]:
    """The positions in a --frame such as "7,12"."""
    from napari_sam.engine import FrameError

    try:
        return [int(part) for part in frame.split(",")]
    except ValueError as error:
        raise FrameError(f"--frame {frame} cannot be read. Write T or T,Z: 7 or 7,12.") from error


def check_folders(*paths: Path | None) -> None:
    """Notice a folder that is not there before the work, not after it."""
    from napari_sam.engine import FrameError

    for path in paths:
        if path is not None and not path.parent.is_dir():
            raise FrameError(f"There is no folder {path.parent}. Make it, or write elsewhere.")
