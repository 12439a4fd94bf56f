"""The network's input: which axis of an image holds channels, which of them, what contrast.

It is kept in the metadata of the image's layer. Labels have no axis of channels: one mask is for
all of them. napari lets the last axes of layers coincide, so channels come first in the image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari.layers import Image

from napari_sam.engine import FrameStack, SamError

from .own_layers import placement, reordered

INPUT, FILE_AXES = "napari_sam_input", "napari_sam_file_axes"  # in the metadata of the image
CHANNEL_NAMES = re.compile(r"c|ch|channels?", re.IGNORECASE)


@dataclass(frozen=True)
class NetworkInput:
    """The network's input of an image."""

    channel_axis: int | None = None  # where it was before it was brought to the front
    channels: tuple[int, ...] = ()  # positions on it that are seen; none: all
    mean: bool = False  # they are seen in grey, not as colours
    as_shown: bool = False  # with the contrast limits of the layer, not with robust ones


def input_of(image: Image) -> NetworkInput:
    """The network's input of an image; its channel axis is detected the first time."""
    if not isinstance(image.metadata.get(INPUT), NetworkInput):
        tell_channel_axis(image, found_channel_axis(image))
    known: NetworkInput = image.metadata[INPUT]
    return known


def stack_of(image: Image) -> FrameStack:
    """An image layer's frames, as the network is given them."""
    given = input_of(image)
    levels = list(image.data) if image.multiscale else image.data
    is_fixed = given.as_shown and not image.rgb
    limits = tuple(map(float, image.contrast_limits)) if is_fixed else None
    if given.channel_axis is None:  # colours are what the layer says, never guessed from the shape
        return FrameStack.from_array(levels, rgb=bool(image.rgb), limits=limits)
    return FrameStack.from_array(
        levels,
        axes=f"C{'Q' * (image.ndim - 3)}YX",
        rgb=False,
        channel=given.channels or None,
        mean=given.mean,
        limits=limits,
    )


def n_channels(image: Image) -> int:
    """How many channels an image has; 0 without an axis of channels."""
    if input_of(image).channel_axis is None:
        return 0
    return int((image.data[0] if image.multiscale else image.data).shape[0])


def found_channel_axis(image: Image) -> int | None:
    """The axis that its labels, its metadata or its file say holds channels."""
    if image.rgb or image.ndim < 3:
        return None
    told = image.metadata.get("channel_axis")
    if isinstance(told, int) and -image.ndim <= told < image.ndim:
        return told % int(image.ndim)
    named: list[Sequence[str]] = [image.axis_labels]
    if isinstance(axes := image.metadata.get("axes"), str | list | tuple):
        named.insert(0, [str(axis) for axis in axes])
    if letters := _letters_in_file(image):
        named.append(["c" if letter == "S" else letter for letter in letters])
    for names in named:
        here = [axis for axis, name in enumerate(names) if CHANNEL_NAMES.fullmatch(name)]
        if len(names) == image.ndim and len(here) == 1:
            return here[0]
    return None


def letters_of(image: Image) -> str:
    """What the file of an image says its axes are, a letter each, without channels and colours."""
    letters, channels = _letters_in_file(image) or "", input_of(image).channel_axis
    if channels is not None:
        letters = letters[:channels] + letters[channels + 1 :]
    return letters.removesuffix("S")


def axis_names(image: Image) -> list[str]:
    """Names of the axes that may hold channels, in the order of the opened image."""
    shape = list((image.data[0] if image.multiscale else image.data).shape[: image.ndim])
    named = [
        f"{'slider ' * label.lstrip('-').isdigit()}{label} ({size})"
        for label, size in zip(image.axis_labels, shape, strict=True)
    ]
    axis = input_of(image).channel_axis
    if axis is not None:
        named.insert(axis, named.pop(0))
    return named


def tell_channel_axis(image: Image, axis: int | None) -> None:
    """Let an axis hold channels, counted as the image was opened, and bring it to the front."""
    before = image.metadata.get(INPUT, NetworkInput())
    if before.channel_axis is not None:
        _move_axis(image, 0, before.channel_axis)
    if axis is not None:
        _move_axis(image, axis, 0)
    image.metadata[INPUT] = replace(before, channel_axis=axis, channels=(), mean=False)


def recall_input(image: Image, channel_axis: int | None, saved: Mapping[str, Any]) -> None:
    """Let the network be given of an image what it was in a saved session."""
    if channel_axis is not None and channel_axis < image.ndim and image.ndim > 2:
        tell_channel_axis(image, channel_axis)
    limits = saved.get("limits")
    if limits and not image.rgb:
        image.contrast_limits = limits[0]
    n = n_channels(image)
    channels = tuple(each for each in saved.get("channels", ()) if each < n)
    image.metadata[INPUT] = replace(
        input_of(image),
        channels=() if len(channels) == n else channels,
        mean=bool(saved.get("mean", False)),
        as_shown=bool(limits),
    )


def _letters_in_file(image: Image) -> str | None:
    """The letters of the axes in the file that an image was opened from, if they fit it."""
    path, shape = image.source.path, list((image.data[0] if image.multiscale else image.data).shape)
    moved = image.metadata.get(INPUT, NetworkInput()).channel_axis
    if moved is not None:  # the letters are in the order of the opened image
        shape.insert(moved, shape.pop(0))
    if not path:
        return None
    from napari_sam.engine import tiff_axes  # brings in zarr, which a new panel need not

    if FILE_AXES not in image.metadata:  # it is slow in a file of many frames
        try:
            image.metadata[FILE_AXES] = tiff_axes(Path(path), tuple(shape))
        except SamError:
            image.metadata[FILE_AXES] = None
    letters: str | None = image.metadata[FILE_AXES]
    return letters if letters and len(letters) == len(shape) else None


def moved_axis(array: Any, start: int, end: int) -> Any:
    """The same array with one of its axes moved, not read for that."""
    order = _order(len(array.shape), start, end)
    if hasattr(array, "transpose"):
        return array.transpose(order)
    from dask.array import from_array

    lazy: Any = from_array(array)  # type: ignore[no-untyped-call]
    return lazy.transpose(order)


def _move_axis(image: Image, start: int, end: int) -> None:
    """Move an axis of an image's data, and all that is said of it."""
    if start == end:
        return
    place = reordered(placement(image), _order(image.ndim, start, end))
    if image.multiscale:
        image.data = [moved_axis(level, start, end) for level in image.data]
    else:
        image.data = moved_axis(image.data, start, end)
    for name, value in place.items():
        setattr(image, name, value)


def _order(n: int, start: int, end: int) -> list[int]:
    order = [axis for axis in range(n) if axis != start]
    order.insert(end, start)
    return order
