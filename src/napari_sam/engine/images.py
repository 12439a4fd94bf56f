"""Image files in, label files out: TIFF, PNG, JPEG, Zarr. Large stacks are opened, not read."""

from __future__ import annotations

import os
import shutil
import struct
import weakref
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tifffile
import zarr
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from .errors import FrameError

READ_AT_ONCE = 64 * 2**20  # bytes; a smaller TIFF is read whole, so that its file is not kept open

TIFF_SUFFIXES = (".tif", ".tiff")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
ZARR_FILES = ("zarr.json", ".zarray", ".zgroup")
OLD_OME_AXES = "TCZYX"  # of OME-Zarr before 0.3, which does not name them
BROKEN = (OSError, ValueError, KeyError, SyntaxError, struct.error, zlib.error)

# Two neighbouring pixels that are labelled have different labels in up to 8 % of all such pairs, in
# dense tissue; in images neighbouring pixels differ in 29 to 99 %. A few pairs tell nothing.
MOST_BORDER, FEW_PAIRS = 0.2, 100


def read_image(path: str | Path) -> tuple[Any, str | None]:
    """Open an image file for :meth:`FrameStack.from_array`.

    - TIFF, OME-TIFF, ImageJ: the first series; frame by frame if it is large.
    - PNG, JPEG: palettes become colours; EXIF rotation is not applied, so that pixels stay where
      other programs see them.
    - Zarr 2 and 3: an array, or an OME-Zarr image with all its levels; frame by frame.

    Returns
    -------
    data, axes
        An array, or a list of arrays of falling resolution; and a letter an axis as the file names
        them, such as ``"TYX"`` or, S being the colours of a pixel, ``"YXS"``; ``None`` if it does
        not.

    Raises
    ------
    FrameError
        If the file is missing, broken or of another kind.
    """
    path = Path(path)
    if not path.exists():
        raise FrameError(f"There is no file {path}. Check its name and folder.")
    try:
        if path.is_dir():
            return _read_zarr(path)
        if path.suffix.lower() in TIFF_SUFFIXES:
            return _read_tiff(path)
        if path.suffix.lower() in PICTURE_SUFFIXES:
            return _read_picture(path)
    except FrameError:
        raise
    except (*BROKEN, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error
    raise FrameError(
        f"{path.name} is of no kind that can be read. Save it as TIFF, PNG, JPEG or Zarr."
    )


@dataclass(frozen=True, eq=False)
class LabelFile:
    """Object ids in a file, each part of them checked as it is read: `file[3]`."""

    path: Path
    pixels: Any  # as stored

    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.uint32)

    @property
    def shape(self) -> tuple[int, ...]:
        """The size along every axis."""
        return tuple(self.pixels.shape)

    def __getitem__(self, where: Any) -> NDArray[Any]:
        try:
            pixels = np.asarray(self.pixels[where])
        except BROKEN as error:
            raise _unreadable(self.path, error) from error
        return as_ids(pixels)


def read_labels(path: str | Path) -> tuple[LabelFile, str | None]:
    """Open a file of labels as :func:`read_image` does, in full resolution.

    Raises
    ------
    FrameError
        If the file cannot be read; on reading a part of it, if that holds no object ids.
    """
    pixels, axes = read_image(path)
    return LabelFile(Path(path), pixels[0] if isinstance(pixels, list) else pixels), axes


def as_ids(labels: ArrayLike) -> NDArray[Any]:
    """Labels ``(…, H, W)`` of any type as unsigned integers; the same array where it is that.

    Whole numbers may be floats: ImageJ and its plugins save labels as 32-bit floats.

    Raises
    ------
    FrameError
        If they are no object ids: fractions, negative, too high, or an image's intensities.
    """
    numbers = np.asarray(labels)
    if numbers.dtype.kind == "f":
        numbers = _without_fractions(numbers)
    ids = _as_labels(numbers)
    n_pairs, n_different = _neighbours(ids)
    if n_pairs >= FEW_PAIRS and n_different > MOST_BORDER * n_pairs:
        raise FrameError(
            f"This is an image rather than labels: {n_different / n_pairs:.0%} of its neighbouring "
            "pixels differ. Give labels, in which all pixels of an object have its number."
        )
    return ids


def write_labels(path: str | Path, labels: ArrayLike, axes: str | None = None) -> None:
    """Save labels of any number of axes, whole or not at all.

    Parameters
    ----------
    path
        ``.tif`` or ``.tiff``: compressed without loss, replaces what was there. ``.zarr``: an
        array, a frame a chunk; must not exist yet.
    labels
        Object ids. Signed and 64-bit integers become the smallest of uint16 and uint32 that holds
        them.
    axes
        A letter an axis, kept in the file.

    Raises
    ------
    FrameError
        If these are no labels, or the file cannot be written.
    """
    path, ids = Path(path), _as_labels(np.asarray(labels))
    check_labels_path(path)
    part = path.with_name(f".{path.name}.part")
    try:
        if path.suffix.lower() == ".zarr":
            chunks = (*(1 for _ in ids.shape[:-2]), *ids.shape[-2:])
            zarr.create_array(part, data=ids, chunks=chunks, dimension_names=axes, overwrite=True)
        else:
            metadata = {"axes": axes} if axes else None
            tifffile.imwrite(
                part, ids, photometric="minisblack", compression="zlib", metadata=metadata
            )
        part.replace(path)
    except OSError as error:
        raise FrameError(
            f"{path} could not be written: {error.strerror or error}. "
            "Choose a folder that exists, can be written to and has room."
        ) from error
    finally:
        _remove(part)


def check_labels_path(path: Path) -> None:
    """Notice before the work that :func:`write_labels` would refuse a name after it.

    Raises
    ------
    FrameError
        If its suffix is another one, or a folder of that name is there.
    """
    if path.suffix.lower() not in (*TIFF_SUFFIXES, ".zarr"):
        raise FrameError(f"Labels cannot be saved as {path.name}. Choose a name in .tif or .zarr.")
    if path.is_dir():
        raise FrameError(f"{path} is there already. Choose another name, or remove it first.")


def _unreadable(path: Path, error: Exception) -> FrameError:
    return FrameError(
        f"{path} could not be read: {error}. Is it whole, and what its name says? "
        "Open it in the program that wrote it and save it again, as TIFF for instance."
    )


def _read_tiff(path: Path) -> tuple[Any, str]:
    with tifffile.TiffFile(path) as file:
        if not file.series:
            raise FrameError(f"{path} holds no image. Save it again from the program it is from.")
        series = file.series[0]
        _check_codec(path, series.keyframe)
        if not series.is_pyramidal and series.nbytes <= READ_AT_ONCE:
            return series.asarray(), series.axes
    return _open_tiff(path)


def _open_tiff(path: Path) -> tuple[Any, str]:
    """The first series as zarr arrays; its file is closed when the last of them is gone."""
    file = tifffile.TiffFile(path)
    series = file.series[0]
    store = series.aszarr()
    weakref.finalize(store, file.close)
    node = zarr.open(store, mode="r")
    if isinstance(node, zarr.Group):
        return [node[str(level)] for level in range(len(series.levels))], series.axes
    return node, series.axes


def _check_codec(path: Path, page: Any) -> None:
    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
    except KeyError as error:
        name = getattr(page.compression, "name", page.compression)
        raise FrameError(
            f"{path} is compressed by {name}, which cannot be undone here. Install it with "
            "'pip install imagecodecs', or save the image with no or with ZIP compression."
        ) from error


def _read_picture(path: Path) -> tuple[NDArray[Any], str]:
    with Image.open(path) as picture:
        if picture.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
            pixels = np.asarray(picture.convert("RGB"))
        elif picture.mode in ("LA", "La"):
            pixels = np.asarray(picture.convert("L"))
        else:
            pixels = np.asarray(picture)
    return pixels, "YXS" if pixels.ndim == 3 else "YX"


def _read_zarr(path: Path) -> tuple[Any, str | None]:
    if not any((path / name).exists() for name in ZARR_FILES):
        raise FrameError(
            f"{path} is a folder without a Zarr image. Give one image file, or the folder that "
            f"holds {' or '.join(ZARR_FILES)}."
        )
    node: Any = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return node, _dimension_letters(node)
    if "bioformats2raw.layout" in _ome(node) and "0" in node:
        node = node["0"]
    multiscales = _ome(node).get("multiscales")
    if not multiscales:
        arrays = ", ".join(sorted(node.array_keys())) or "none"
        raise FrameError(
            f"{path} is a Zarr group, but no OME-Zarr image. Give the path of an array in it "
            f"({arrays})."
        )
    image = multiscales[0]
    levels = [node[dataset["path"]] for dataset in image["datasets"]]
    return levels, _ome_letters(image.get("axes", OLD_OME_AXES))


def _ome(group: Any) -> Any:
    """An OME-Zarr group's metadata: beside other attributes up to 0.4, by themselves since 0.5."""
    return group.attrs.get("ome", group.attrs)


def _ome_letters(axes: Sequence[Any]) -> str:
    names = [axis["name"] if isinstance(axis, dict) else axis for axis in axes]
    return "".join(name[0].upper() for name in names)


def _dimension_letters(array: Any) -> str | None:
    """Names of one letter an axis, as Zarr 3 has them or xarray writes them into Zarr 2."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if not names or any(name is None or len(name) != 1 for name in names):
        return None
    return "".join(names).upper()


def _as_labels(labels: NDArray[Any]) -> NDArray[Any]:
    if labels.dtype.kind not in "bui" or labels.ndim < 2:
        raise FrameError(
            f"Labels are whole numbers on at least two axes, not {labels.dtype} of shape "
            f"{labels.shape}. Convert them first."
        )
    if labels.dtype.kind == "b":
        return labels.astype(np.uint8)
    lowest, highest = int(labels.min(initial=0)), int(labels.max(initial=0))
    if lowest < 0 or highest > np.iinfo(np.uint32).max:
        raise FrameError(
            f"The numbers of these labels reach from {lowest} to {highest}. Wanted are 0 for the "
            "background and 1 to 4294967295 for objects: renumber them first."
        )
    if labels.dtype.kind == "u" and labels.dtype.itemsize <= 4:
        return labels
    return labels.astype(np.uint16 if highest <= np.iinfo(np.uint16).max else np.uint32)


def _without_fractions(labels: NDArray[Any]) -> NDArray[np.int64]:
    fractions = labels[~(np.isfinite(labels) & (labels == np.rint(labels)))]
    if fractions.size:
        raise FrameError(
            f"Labels are whole numbers, but these hold {fractions.flat[0]:g}. Give the file in "
            "which every object has its number, not an image or one that was scaled or blurred."
        )
    whole: NDArray[np.int64] = np.clip(labels, -(2.0**62), 2.0**62).astype(np.int64)
    return whole


def _neighbours(ids: NDArray[Any]) -> tuple[int, int]:
    """Pairs of neighbouring pixels that both have a label, and those of them with two different."""
    n_pairs = n_different = 0
    for axis in range(ids.ndim):
        before, after = np.moveaxis(ids, axis, 0)[:-1], np.moveaxis(ids, axis, 0)[1:]
        both = (before > 0) & (after > 0)
        n_pairs += int(np.count_nonzero(both))
        n_different += int(np.count_nonzero(both & (before != after)))
    return n_pairs, n_different


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    elif part.exists():
        os.remove(part)
