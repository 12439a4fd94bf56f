"""A folder of annotated images: an ``index.json``, or images and labels that lie side by side.

- ``NAME.image.tif`` (or ``NAME.tif``) and ``NAME.labels.tif``: the folder is their source.
- ``image.tif`` and ``labels.tif``, each pair in a folder of its own: their source is the folder
  around these.

Everything is looked at before the first image is read whole, so that what is wrong is said at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import tifffile

from napari_sam.engine import FrameError

from .data import Item, load_index, read_ids

WANTED = (
    "Wanted are NAME.image.tif and NAME.labels.tif side by side, image.tif and labels.tif in a "
    "folder for each image, or an index.json."
)

Header: TypeAlias = tuple[tuple[int, ...], str, str]  # shape, axes and type's kind of a TIFF


def find_items(folder: Path) -> list[Item]:
    """The annotated images of a folder and of the folders in it, sorted by their source.

    Raises
    ------
    FrameError
        If there are none, or an image and its labels do not fit.
    """
    if not folder.is_dir():
        raise FrameError(f"There is no folder {folder}. Check the path. {WANTED}")
    indexed = (folder / "index.json").is_file()
    items = _indexed(folder) if indexed else list(_pairs(folder))
    if not items:
        raise FrameError(f"No annotated image was found in {folder}. {WANTED}")
    return sorted(items, key=lambda item: (item.source, item.id))


def _indexed(folder: Path) -> list[Item]:
    try:
        items = load_index(folder)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FrameError(
            f"{folder / 'index.json'} cannot be read ({type(error).__name__}: {error}). Wanted is "
            "a list of entries with id, source, image, labels and axes."
        ) from error
    return [replace(item, axes=colour_axes(item.image, item.labels, item.axes)) for item in items]


def _pairs(folder: Path) -> Iterator[Item]:
    for labels in sorted(folder.rglob("*labels.tif*")):
        if labels.suffix not in (".tif", ".tiff"):
            continue
        name, suffix, around = labels.stem, labels.suffix, labels.parent
        if name == "labels":
            image, id_ = labels.with_name(f"image{suffix}"), around
            around = around if around == folder else around.parent
        elif name.endswith(".labels"):
            name = name.removesuffix(".labels")
            image, id_ = labels.with_name(f"{name}.image{suffix}"), around / name
            if not image.exists():
                image = labels.with_name(f"{name}{suffix}")
        else:
            continue
        if not image.exists():
            raise FrameError(f"{labels} has no image beside it. {WANTED}")
        axes = colour_axes(image, labels)
        yield Item(_named(id_, folder), _named(around, folder), image, labels, axes)


def _named(path: Path, folder: Path) -> str:
    """A path as seen from the folder; the folder itself by its own name."""
    return folder.resolve().name if path == folder else path.relative_to(folder).as_posix()


def colour_axes(image: Path, labels: Path, axes: str | None = None) -> str:
    """A letter an axis of the image, C the one that the labels do not have.

    Parameters
    ----------
    image, labels
        TIFF files; only what they say about themselves is read.
    axes
        The letters of the image's axes, if they are known better than the file knows them.

    Raises
    ------
    FrameError
        If the labels are not whole numbers, or of another shape than the image without colours.
    """
    shape, letters, _ = _header(image)
    labels_shape, _, kind = _header(labels)
    if kind == "f":
        read_ids(labels)
    elif kind not in "bui":
        raise FrameError(
            f"{labels} does not hold whole numbers. Labels are 0 on the background and 1, 2, … on "
            "the objects; export them again as integers."
        )
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
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            return series.shape, series.axes, series.dtype.kind
    except (OSError, ValueError, IndexError) as error:
        raise FrameError(
            f"{path} could not be read: {error}. Is it there, whole, and a TIFF? "
            "Open it in the program that wrote it and save it again."
        ) from error
