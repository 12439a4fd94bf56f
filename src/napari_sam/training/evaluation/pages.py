"""What the reports have in common: their folder, their template, and what stands at both ends."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Protocol

from napari_sam.engine import FrameError, write_text
from napari_sam.training.data import FrameName, Item


class Judgement(Protocol):
    """One model judged on all images."""

    @property
    def model(self) -> str:
        """What it is called."""

    @property
    def hash(self) -> str:
        """Of its weights."""

    @property
    def device(self) -> str:
        """On which it ran."""

    @property
    def precision(self) -> str:
        """In which it ran."""

    @property
    def seconds(self) -> float:
        """For all images."""

    @property
    def frames(self) -> tuple[FrameName, ...]:
        """In which objects were judged."""

    def as_json(self) -> dict[str, Any]:
        """Plain numbers."""


def empty_items(evaluation: Judgement, items: Sequence[Item]) -> list[Item]:
    """The images in which no object was judged: their labels hold none that is large enough."""
    judged = {frame.item for frame in evaluation.frames}
    return [item for item in items if item.id not in judged]


def as_json(evaluations: Sequence[Judgement]) -> dict[str, Any]:
    """One model's figures; of several models, those of each by its name."""
    if len(evaluations) == 1:
        return evaluations[0].as_json()
    return {evaluation.model: evaluation.as_json() for evaluation in evaluations}


def write_page(folder: Path, html: str, evaluations: Sequence[Judgement]) -> Path:
    """Write ``index.html``, and the figures as ``scores.json``.

    Raises
    ------
    SamError
        If the folder cannot be written.
    """
    target = make_folder(folder) / "index.html"
    write_text(target, html)
    write_text(target.with_name("scores.json"), json.dumps(as_json(evaluations), indent=2))
    return target


def make_folder(folder: Path) -> Path:
    """The folder, made if it is not there.

    Raises
    ------
    FrameError
        If it cannot be made, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def read_template(name: str, package: str = __package__) -> Template:
    """A page of this folder, or of another package, with the style that all have."""
    html = files(package).joinpath(name).read_text("utf-8")
    style = files(__package__).joinpath("report.css").read_text("utf-8")
    return Template(html.replace("$style", style))


def lead(n_objects: int, frames: Sequence[FrameName], sources: Sequence[str]) -> str:
    """How much was judged."""
    counts = (
        _count(n_objects, "object"),
        _count(len(frames), "frame"),
        _count(len({frame.item for frame in frames}), "image"),
        _count(len(sources), "source"),
    )
    return f"{counts[0]} in {counts[1]} of {counts[2]} from {counts[3]}"


def circumstances(evaluations: Sequence[Judgement]) -> str:
    """When, with what and how long."""
    versions = f"napari-sam {version('napari-sam-annotator')}, PyTorch {version('torch')}"
    times = "; ".join(
        f"{e.model} ({e.hash}) took {e.seconds:.0f} s on {e.device} in {e.precision}"
        for e in evaluations
    )
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return f"{date.today().isoformat()}. {versions}, {machine}. {times}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _unwritable(folder: Path, error: OSError) -> FrameError:
    return FrameError(
        f"The report cannot be written to {folder}: {error.strerror or error}. "
        "Choose a folder that can be written to and has room."
    )
