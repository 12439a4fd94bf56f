"""A folder of annotated images: an ``index.json``, or images and labels that are side by side.

- ``NAME.image.tif`` (or ``NAME.tif``) and ``NAME.labels.tif``: the folder is their source.
- ``image.tif`` and ``labels.tif``, each pair in a folder of its own: their source is the folder
  around these.

Everything is checked before the computation, so that errors are reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from napari_sam.engine import FrameError, open_image

from .data import Item, frames_of, load_index, read_ids

WANTED = (
    "Wanted are NAME.image.tif and NAME.labels.tif side by side, image.tif and labels.tif in a "
    "folder for each image, or an index.json."
)

Header: TypeAlias = tuple[tuple[int, ...], str]  # shape and axes of an image

LABELS = re.compile(r"(?:(?P<name>.+)\.)?labels\.tiff?", re.IGNORECASE)


def find_items(folder: Path, left_out: list[FrameError] | None = None) -> list[Item]:
    """The annotated images of a folder and of the folders in it, sorted by their source.

    Hidden files, which other systems leave, are skipped.

    Parameters
    ----------
    left_out
        Given, an image that cannot be used is left out, and the reason added here; all pixels that
        will be needed are read for that. It is an error if none can be used.

    Raises
    ------
    FrameError
        If there is no annotated image, or an image and its labels do not fit.
    """
    if not folder.is_dir():
        raise FrameError(f"There is no folder {folder}. Check the path. {WANTED}")
    indexed = (folder / "index.json").is_file()
    finders = _indexed(folder) if indexed else _pairs(folder)
    items, reasons = [], []
    for find in finders:
        try:
            item = find()
            if left_out is not None:
                _check_pixels(item)
        except FrameError as error:
            if left_out is None:
                raise
            reasons.append(error)
        else:
            items.append(item)
    if not items:
        raise (
            reasons[0]
            if reasons
            else FrameError(f"No annotated image was found in {folder}. {WANTED}")
        )
    if left_out is not None:
        left_out += reasons
    return sorted(items, key=lambda item: (item.source, item.id))


def _check_pixels(item: Item) -> None:
    """Read what will be needed of an image."""
    for _ in frames_of(item):
        pass


def _indexed(folder: Path) -> Iterator[Callable[[], Item]]:
    try:
        items = load_index(folder)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FrameError(
            f"{folder / 'index.json'} cannot be read ({type(error).__name__}: {error}). Wanted is "
            "a list of entries with id, source, image, labels and axes."
        ) from error
    return (partial(_with_axes, item, item.axes) for item in items)


def _with_axes(item: Item, axes: str | None = None) -> Item:
    return replace(item, axes=colour_axes(item.image, item.labels, axes))


def _pairs(folder: Path) -> Iterator[Callable[[], Item]]:
    for labels in sorted(folder.rglob("*")):
        named = LABELS.fullmatch(labels.name)
        is_hidden = any(part.startswith(".") for part in labels.relative_to(folder).parts)
        if named and not is_hidden and labels.is_file():
            yield partial(_pair, folder, labels, named["name"])


def _pair(folder: Path, labels: Path, name: str | None) -> Item:
    """Labels and their image; the case of the suffix does not matter."""
    around = labels.parent
    suffix = labels.suffix.lower()
    wanted = ["image" + suffix] if name is None else [f"{name}.image{suffix}", name + suffix]
    beside = {path.name.lower(): path for path in around.iterdir()}
    image = next((beside[each.lower()] for each in wanted if each.lower() in beside), None)
    if image is None:
        raise FrameError(f"{labels} has no image beside it. {WANTED}")
    id_ = around if name is None else around / name
    source = around.parent if name is None and around != folder else around
    return _with_axes(Item(_named(id_, folder), _named(source, folder), image, labels, ""))


def _named(path: Path, folder: Path) -> str:
    """A path as seen from the folder; the folder itself by its own name."""
    return folder.resolve().name if path == folder else path.relative_to(folder).as_posix()


def colour_axes(image: Path, labels: Path, axes: str | None = None) -> str:
    """A letter an axis of the image, C the one that the labels do not have.

    Parameters
    ----------
    image, labels
        Their files.
    axes
        The letters of the image's axes, if they are known better than the file knows them.

    Raises
    ------
    FrameError
        If the labels are not object ids, or of another shape than the image without colours.
    """
    shape, letters = _header(image)
    labels_shape = read_ids(labels).shape
    if axes is not None and len(axes) != len(shape):
        raise FrameError(
            f"{image} has the shape {shape}, but its axes are given as {axes}. One letter an axis "
            "is wanted, such as TYX or YXC."
        )
    plain = "Q" * (len(labels_shape) - 2) + "YX"
    if shape == labels_shape:
        return axes or plain
    for colours in _colour_candidates(axes, letters):
        if shape[:colours] + shape[colours + 1 :] == labels_shape:
            names = plain if axes is None else axes[:colours] + axes[colours + 1 :]
            return names[:colours] + "C" + names[colours:]
    raise FrameError(
        f"{labels} has the shape {labels_shape}, its image {shape}. Every pixel of the image needs "
        "one of the labels: the same shape, but for an axis of colours."
    )


def _colour_candidates(axes: str | None, letters: str) -> list[int]:
    """Positions that may be the colours: those so named; of a file's own letters then any other."""
    named = [n for n, letter in enumerate(axes or letters) if letter in "SC"]
    return named if axes else [*named, len(letters) - 1, *range(len(letters) - 1)]


def _header(path: Path) -> Header:
    if not path.is_file():
        raise FrameError(f"{path} could not be read: there is no such file. Check its name.")
    opened = open_image(path)
    pixels = opened.data[0] if isinstance(opened.data, list) else opened.data
    return tuple(pixels.shape), opened.axes or "Q" * len(pixels.shape)
