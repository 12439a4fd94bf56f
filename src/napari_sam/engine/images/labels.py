"""Labels: read part by part and checked, written whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tifffile
import zarr
from numpy.typing import ArrayLike, NDArray

from ..errors import FrameError
from ..guard import decoding, in_time
from ..writing import check_name, written
from .folders import finest
from .lazy import Lazy
from .opening import open_image

LABEL_SUFFIXES = (".tif", ".tiff", ".zarr")

# Two neighbouring pixels that are labelled have different labels in up to 8 % of all such pairs, in
# dense tissue; in images neighbouring pixels differ in 29 to 99 %. A few pairs tell nothing.
MOST_BORDER, FEW_PAIRS = 0.2, 100


@dataclass(frozen=True, eq=False)
class LabelFile(Lazy):
    """Object ids in a file, each part of them checked as it is read: `file[3]`."""

    path: Path
    pixels: Any  # as stored

    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.uint32)

    @property
    def shape(self) -> tuple[int, ...]:
        """The size along every axis."""
        return tuple(self.pixels.shape)

    def __getitem__(self, where: Any) -> NDArray[Any]:
        with decoding(self.path):
            pixels = in_time(self.path, lambda: np.asarray(self.pixels[where]))
        return as_ids(pixels)


def read_labels(
    path: str | Path, *, series: str | int | None = None, axes: str | None = None
) -> tuple[LabelFile, str | None]:
    """Open a file of labels as :func:`read_image` does, in full resolution.

    Of a picture with a palette its indices, of Cellpose's `_seg.npy` its masks.

    Raises
    ------
    FrameError
        If the file cannot be read; on reading a part of it, if that holds no object ids.
    """
    opened = open_image(path, series=series, axes=axes, indexed=True)
    return LabelFile(Path(path), finest(opened.data)), opened.axes


def as_ids(labels: ArrayLike) -> NDArray[Any]:
    """Labels ``(…, H, W)`` of any type as unsigned integers; the same array where it is that.

    Whole numbers may be floats: ImageJ and its plugins save labels as 32-bit floats.

    Raises
    ------
    FrameError
        If they are not object ids: fractions, negative, too high, or an image's intensities.
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
        If these are not labels; a SamError if the file cannot be written.
    """
    path, ids = Path(path), _as_labels(np.asarray(labels))
    check_labels_path(path)
    if path.suffix.lower() == ".zarr":
        chunks = (*(1 for _ in ids.shape[:-2]), *ids.shape[-2:])
        with written(path, folder=True) as part:
            zarr.create_array(part, data=ids, chunks=chunks, dimension_names=axes)
        return
    metadata = {"axes": axes} if axes else None
    with written(path) as part:
        tifffile.imwrite(part, ids, photometric="minisblack", compression="zlib", metadata=metadata)


def check_labels_path(path: Path) -> None:
    """Notice before the work that :func:`write_labels` would refuse a name after it.

    Raises
    ------
    FrameError
        If its suffix is another one, no file can be called so, or a folder of that name is there.
    """
    check_name(path)
    if path.suffix.lower() not in LABEL_SUFFIXES:
        raise FrameError(f"Labels cannot be saved as {path.name}. Choose a name in .tif or .zarr.")
    if path.is_dir():
        raise FrameError(f"{path} is there already. Choose another name, or remove it first.")


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
