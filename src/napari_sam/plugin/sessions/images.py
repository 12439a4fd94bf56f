"""The image of a saved session, read again as it was when it was annotated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import npe2
import numpy as np
import pint
from napari.layers import Image

from napari_sam.engine import FrameStack, SamError
from napari_sam.engine.guard import decoding
from napari_sam.installation import DISTRIBUTION
from napari_sam.plugin.layers.network_input import moved_axis
from napari_sam.session import SessionFile, image_record

from .places import IMAGE_FILE, SERIES, image_of

PIXEL = "pixel"
OME = re.compile(r"\.ome\.(tiff?|zarr)$|\.zarr\.zip$", re.IGNORECASE)  # before which the name ends
IMAGE_READER = "napari_sam_reader"  # in an image's metadata
MOST_SERIES = 100  # of a file, that are looked through
PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
KEPT = ("name", "metadata", "rgb", *PLACE)  # of what a plugin says


def reader_of(image: Image) -> str | None:
    """The plugin that read an image layer, if it was not this one."""
    reader = image.metadata.get(IMAGE_READER) or image.source.reader_plugin
    return None if reader in (None, DISTRIBUTION) else str(reader)


def read_again(file: SessionFile) -> tuple[Path, Any, dict[str, Any]]:
    """Path and pixels of a session's image, and the keyword arguments of its layer.

    The session remembers the plugin that read it; of several series, channels or ways to read a
    file that one is taken which has the pixels that were annotated.

    Raises
    ------
    SamError
        If it is gone, or nothing in it has the session's shape.
    """
    path = image_of(file)
    if path is None:
        raise SamError(
            f"The image of {file.folder.name} was moved or deleted. Open it from its new "
            "place, then the session with “Open …” in the panel."
        )
    record = file.manifest["image"]
    rgb = bool(file.manifest["preprocessing"]["rgb"])
    alike: tuple[Path, Any, dict[str, Any]] | None = None
    shapes: list[tuple[int, ...]] = []
    for given, about in _ways_to_read(path, record.get("reader")):
        levels = list(given) if isinstance(given, list | tuple) else [given]
        if about.get("rgb", rgb) != rgb or levels[0].ndim <= (file.channel_axis or 0):
            continue
        if file.channel_axis is not None:
            about = {key: value for key, value in about.items() if key not in PLACE}
            levels = [moved_axis(level, file.channel_axis, 0) for level in levels]
        stack = _stack(levels, rgb=rgb, has_channels=file.channel_axis is not None)
        shapes.append(stack.shape)
        if stack.shape == file.shape:
            is_pyramid = isinstance(given, list | tuple)
            told = {**about, "rgb": rgb, "multiscale": is_pyramid}
            found = (path, levels if is_pyramid else levels[0], told)
            alike = alike or found
            if record["content"] in (None, image_record(stack)["content"]):
                return found
    if alike is None:
        shape = shapes[0] if shapes else "nothing that can be read"
        raise SamError(
            f"{path} has the shape {shape} here, the session {file.shape}. Open the image as you "
            "did the first time: its session comes back with it."
        )
    return alike


def limits_in(data: Any, axes: str | None) -> tuple[int, int] | None:
    """The darkest and the brightest value of an image of bytes: napari would show 0 to 255.

    Of stacks the first, middle and last frame are looked at, of pyramids the coarsest level.
    ``None`` of colours, where napari finds them by itself, or all values are the same.
    """
    level = data[-1] if isinstance(data, list) else data
    if level.dtype != np.uint8 or (axes and axes.endswith("S")):
        return None
    leading = level.shape[:-2]
    frames = [tuple(int(share * (n - 1)) for n in leading) for share in (0.0, 0.5, 1.0)]
    seen = [np.asarray(level[at or ...]) for at in dict.fromkeys(frames)]
    darkest, brightest = min(int(f.min()) for f in seen), max(int(f.max()) for f in seen)
    return (darkest, brightest) if darkest < brightest else None


def image_arguments(
    file: Path,
    data: Any,
    axes: str | None,
    limits: tuple[int, int] | None = None,
    *,
    series: int = 0,
    scales: Mapping[str, tuple[float, str]] | None = None,
) -> dict[str, Any]:
    """Keyword arguments of the layer of what was read of a file, its data among them.

    Parameters
    ----------
    data, axes
        As `read_image` returns them.
    limits
        Of its contrast; by default napari's.
    series
        Which image of the file it is.
    scales
        Sizes of its pixels, as `read_scales` returns them; by default a pixel is 1.
    """
    name = Path(file.stem).stem if OME.search(file.name) else file.stem
    rgb = bool(axes and axes.endswith("S"))
    letters = (axes or "")[: -1 if rgb else None]
    about: dict[str, Any] = {}
    if letters and len(set(letters)) == len(letters):
        about["axis_labels"] = tuple(letters.lower())
    if limits is not None:
        about["contrast_limits"] = limits
    if scales and letters:
        sized = [scales.get(letter, (1.0, PIXEL)) for letter in letters]
        about["scale"] = tuple(size for size, _ in sized)
        about["units"] = tuple(_known_unit(unit) for _, unit in sized)
    return {
        "data": data,
        "name": f"{name} [{series}]" if series else name,
        "rgb": rgb,
        "multiscale": isinstance(data, list),
        "metadata": {IMAGE_FILE: str(file), SERIES: series, "axes": letters},
        **about,
    }


def _known_unit(name: str) -> str:
    """A unit as napari has it, or that of a pixel."""
    try:
        return str(pint.application_registry.Unit(name))
    except (pint.PintError, ValueError, TypeError):
        return PIXEL


def _stack(levels: list[Any], *, rgb: bool, has_channels: bool) -> FrameStack:
    """The frames of an image, its channels first."""
    axes = f"C{'Q' * (levels[0].ndim - 3)}YX" if has_channels and levels[0].ndim > 2 else None
    return FrameStack.from_array(levels, axes=axes, rgb=rgb)


def _ways_to_read(path: Path, reader: str | None) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Data of the plugin that read the file, then every series as it is read here."""
    from napari_sam.engine import open_image  # brings in zarr, which a new panel need not

    problem: SamError | None = None
    if reader is not None:
        try:
            yield from _by_plugin(path, reader)
        except SamError as error:  # not installed here, or another version
            problem = error
    for series in range(MOST_SERIES):
        for indexed in (False, True):  # a palette's colours, or what napari shows: its indices
            try:
                opened = open_image(path, series=series, indexed=indexed)
            except SamError as error:
                if series == 0:
                    raise problem or error from error
                return
            yield opened.data, {}


def _by_plugin(path: Path, reader: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The image layers that a napari plugin makes of a file, channel by channel."""
    layers: Any = ()
    with decoding(path):
        layers = npe2.read([str(path)], stack=False, plugin_name=reader)
    for pixels, *rest in layers:
        about = dict(rest[0]) if rest else {}
        if len(rest) > 1 and rest[1] != "image":
            continue
        axis = about.pop("channel_axis", None)
        if axis is None:
            yield pixels, {key: about[key] for key in KEPT if key in about}
            continue
        levels = pixels if isinstance(pixels, list | tuple) else [pixels]
        for channel in range(levels[0].shape[axis]):
            place = (slice(None),) * (axis % levels[0].ndim) + (channel,)
            chosen = [level[place] for level in levels]
            yield chosen if isinstance(pixels, list | tuple) else chosen[0], {}
