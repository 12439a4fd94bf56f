"""How large pixels are, and in which units, as image files say it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree

import tifffile

from ..guard import FOLDER_S, WHOLE, decoding, in_time
from .places import address_of, remedy_at
from .tiff import TIFF_SUFFIXES
from .zarrs import is_zarr, ome_axes, ome_image

Scales: TypeAlias = dict[str, tuple[float, str]]
"""By the letter of an axis: units a pixel, and the unit. What is not known is not there."""

LARGEST_XML = 50_000_000  # characters
OF_OME = {"X": "PhysicalSizeX", "Y": "PhysicalSizeY", "Z": "PhysicalSizeZ", "T": "TimeIncrement"}
OME_UNIT = {"X": "µm", "Y": "µm", "Z": "µm", "T": "s"}  # where the file does not say it


def read_scales(path: str | Path, series: str | int | None = None) -> Scales:
    """The sizes of pixels that a TIFF, OME-TIFF, ImageJ or OME-Zarr file tells of an image.

    Parameters
    ----------
    series
        The name or number of the image, where the file holds several; by default the first.

    Raises
    ------
    FrameError
        If the file is broken.
    """
    address, path = address_of(path), Path(path)
    with decoding(address or path, WHOLE if address is None else remedy_at(address)):
        if address is not None or path.suffix.lower() == ".zip":
            return in_time(path, lambda: _of_zarr(address or path, series), seconds=FOLDER_S)
        if path.is_dir():
            return in_time(path, lambda: _of_zarr(path, series)) if is_zarr(path) else {}
        if path.suffix.lower() in TIFF_SUFFIXES:
            return in_time(path, lambda: _of_tiff(path, series))
    return {}


def scales_of(scales: Scales, axes: str | None) -> tuple[tuple[float, ...], tuple[str, ...]] | None:
    """What is known of each of these axes: scale and units; ``None`` if nothing is."""
    if axes is None or not scales:
        return None
    said = [scales.get(letter, (1.0, "pixel")) for letter in axes]
    return tuple(size for size, _ in said), tuple(unit for _, unit in said)


def _of_tiff(path: Path, series: str | int | None) -> Scales:
    with tifffile.TiffFile(path) as file:
        if file.is_ome and file.ome_metadata:
            names = [each.name for each in file.series]
            number = names.index(series) if series in names else int(series or 0)
            return _of_ome_xml(file.ome_metadata, number)
        if file.is_imagej:
            return _of_imagej(file.imagej_metadata or {}, file.pages[0])
        shaped = next(iter(file.shaped_metadata or ()), {})
    return _checked(dict(shaped.get("scales", {})))


def _of_ome_xml(text: str, number: int) -> Scales:
    if len(text) > LARGEST_XML:
        return {}
    root = ElementTree.fromstring(text)
    images = [each for each in root.iter() if each.tag.endswith("}Pixels")]
    if number >= len(images):
        return {}
    pixels = images[number]
    found = {
        letter: (pixels.get(name), pixels.get(f"{name}Unit", OME_UNIT[letter]))
        for letter, name in OF_OME.items()
    }
    return _checked(found)


def _of_imagej(about: Mapping[str, Any], page: Any) -> Scales:
    unit = str(about.get("unit", "")).replace("\\u00B5", "µ")
    found: dict[str, Any] = {}
    if unit.lower() not in ("", "pixel", "pixels", "px"):
        for letter, name in (("X", "XResolution"), ("Y", "YResolution")):
            tag = page.tags.get(name)
            if tag is not None and tag.value[0]:
                found[letter] = (tag.value[1] / tag.value[0], unit)
        if "spacing" in about:
            found["Z"] = (about["spacing"], about.get("zunit", unit))
    if "finterval" in about:
        found["T"] = (about["finterval"], about.get("tunit", "s"))
    return _checked(found)


def _of_zarr(path: Path | str, series: str | int | None) -> Scales:
    image = ome_image(path, series)
    if image is None or not image.get("axes"):
        return {}
    axes: Sequence[Any] = image["axes"]
    factors = [1.0] * len(axes)
    steps = [*image["datasets"][0].get("coordinateTransformations", ())]
    for step in [*steps, *image.get("coordinateTransformations", ())]:
        if step.get("type") == "scale":
            try:
                factors = [f * float(s) for f, s in zip(factors, step["scale"], strict=True)]
            except (KeyError, TypeError, ValueError):
                return {}  # it says no size of these axes
    units = [axis.get("unit", "pixel") if isinstance(axis, Mapping) else "pixel" for axis in axes]
    found = dict(zip(ome_axes(axes), zip(factors, units, strict=True), strict=True))
    return {letter: pair for letter, pair in _checked(found).items() if letter not in "CQS"}


def _checked(found: Mapping[str, Any]) -> Scales:
    """What is a number above 0, with its unit."""
    known: Scales = {}
    for letter, pair in found.items():
        try:
            size, unit = float(pair[0]), str(pair[1])
        except (TypeError, ValueError, IndexError):
            continue
        if math.isfinite(size) and size > 0:
            known[str(letter)] = (size, unit)
    return known
