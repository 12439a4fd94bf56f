"""Labels as OME-TIFF, with the size of a pixel and its unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tifffile

from napari_sam.engine import Labelled

from . import tiff
from .canvas import Canvas

OF_OME = {"micrometer": "µm", "micrometre": "µm", "um": "µm", "nanometer": "nm", "second": "s"}


def write(objects: Labelled, path: Path) -> None:
    """One image of a channel."""
    axes = objects.axes
    if "T" not in axes and axes.count("Q") == 1:
        axes = axes.replace("Q", "T")  # OME knows no axis without a meaning
    dtype = tiff.id_type(objects)
    about: dict[str, Any] = {"axes": axes, "Name": "labels"}
    for letter, size, unit in zip(objects.axes, objects.scale, objects.units, strict=True):
        name = "TimeIncrement" if letter == "T" else f"PhysicalSize{letter}"
        if unit != "pixel" and letter in "TZYX":
            about[name], about[f"{name}Unit"] = size, OF_OME.get(unit, unit)
    tifffile.imwrite(
        path,
        tiff.pages(objects, dtype),
        shape=objects.shape,
        dtype=dtype,
        ome=True,
        photometric="minisblack",
        compression="zlib",
        metadata=about,
    )


def read(path: Path, canvas: Canvas | None) -> Labelled:
    """As a TIFF."""
    return tiff.read(path, canvas)
