"""Labels as TIFF, a frame a page, with the size of a pixel as ImageJ has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam.engine import Labelled, read_labels, read_scales, scales_of

from .canvas import Canvas

OF_IMAGEJ = "TZYX"
SHORT = {"micrometer": "um", "micrometre": "um", "nanometer": "nm", "millimeter": "mm"}


def write(objects: Labelled, path: Path) -> None:
    """In 16 bit ImageJ's own kind, with its axes; in 32 bit, which ImageJ has not, a plain one."""
    dtype = id_type(objects)
    letters = objects.axes
    by_imagej = dtype == np.uint16 and all(letter in OF_IMAGEJ for letter in letters)
    known = {
        letter: (size, unit)
        for letter, size, unit in zip(letters, objects.scale, objects.units, strict=True)
        if unit != "pixel"
    }
    about: dict[str, Any] = {"axes": letters}
    more: dict[str, Any] = {}
    if by_imagej and known:
        about |= _imagej_sizes(known)
        if {"X", "Y"} <= set(known):
            more["resolution"] = (1 / known["X"][0], 1 / known["Y"][0])
    elif known:
        about["scales"] = known
    tifffile.imwrite(
        path,
        pages(objects, dtype),
        shape=objects.shape,
        dtype=dtype,
        imagej=by_imagej,
        photometric="minisblack",
        compression="zlib",
        metadata=about,
        **more,
    )


def read(path: Path, canvas: Canvas | None) -> Labelled:
    """Labels of any TIFF, with the size of a pixel."""
    labels, axes = read_labels(path)
    axes = canvas.axes if canvas is not None and canvas.shape == labels.shape else axes
    scale, units = scales_of(read_scales(path), axes) or (None, None)
    return Labelled.of(labels, axes=axes, scale=scale, units=units)


def id_type(objects: Labelled) -> np.dtype[Any]:
    """16 bit where they hold all ids, else 32."""
    highest = max((int(pixels.max(initial=0)) for *_, pixels in objects.strips()), default=0)
    return np.dtype(np.uint16 if highest <= np.iinfo(np.uint16).max else np.uint32)


def pages(objects: Labelled, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Frame by frame."""
    for _, pixels in objects.frames():
        yield np.ascontiguousarray(pixels, dtype)


def _imagej_sizes(known: dict[str, tuple[float, str]]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if "X" in known:
        said["unit"] = SHORT.get(known["X"][1], known["X"][1])
    if "Z" in known:
        said["spacing"] = known["Z"][0]
        said["zunit"] = SHORT.get(known["Z"][1], known["Z"][1])
    if "T" in known:
        said["finterval"] = known["T"][0]
        said["tunit"] = known["T"][1]
    return said
