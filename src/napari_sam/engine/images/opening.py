"""Any image file → its pixels and the letters of its axes. Large ones are opened, not read."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FrameError
from ..guard import FOLDER_S, decoding, in_time
from .arrays import NPY_SUFFIXES, npy_series
from .folders import folder_series, natural
from .pictures import PICTURE_SUFFIXES, picture_series
from .places import address_of, remedy_at
from .series import Series, choose, listed
from .tiff import TIFF_SUFFIXES, tiff_series
from .zarrs import is_zarr, zarr_series

# A file may say that it holds a frame of any size; what compression gains at most is a factor of
# 1032 for deflate. A frame below the first number is read without a question.
LARGE_FRAME = 512 * 2**20
MOST_GAIN = 1100
MANY_CHUNKS = 20_000  # of a frame; each takes time, even if it is not there
LEAST_CHUNK = 8  # bytes
LABELS_NAME = re.compile(r"\.labels\.|_seg\.npy$")  # not images to annotate


@dataclass(frozen=True, eq=False)
class OpenedImage:
    """One image of a file."""

    data: Any  # an array, or a list of arrays of falling resolution
    axes: str | None  # a letter an axis, or None where nobody says it
    others: str = ""  # what else the file holds, in words; empty if nothing was left to choose


def read_image(
    path: str | Path, *, series: str | int | None = None, axes: str | None = None
) -> tuple[Any, str | None]:
    """Open an image file for :meth:`FrameStack.from_array`.

    - TIFF and its kin (OME-TIFF, ImageJ, .lsm, .svs, .ndpi, .btf): frame by frame if it is large.
    - PNG, JPEG, BMP and other pictures: palettes become colours; EXIF rotation is not applied, so
      that pixels stay where other programs see them. An animation is a movie.
    - Zarr 2 and 3: an array, an OME-Zarr image with all its levels, a field of a plate; in a
      folder, in a zip file, or at an address (https://…, s3://…).
    - .npy, and the `_seg.npy` of Cellpose where it holds its image.
    - A folder of such files: a movie of them, in natural order.

    Parameters
    ----------
    series
        The name or number of one image, where a file holds several; by default the first.
    axes
        A letter an axis, where the file says nothing or something wrong.

    Returns
    -------
    data, axes
        An array, or a list of arrays of falling resolution; and a letter an axis as the file names
        them, such as ``"TYX"`` or, S being the colours of a pixel, ``"YXS"``; ``None`` if it does
        not.

    Raises
    ------
    FrameError
        If the file is missing, broken or of another kind, or holds no such series.
    """
    opened = open_image(path, series=series, axes=axes)
    return opened.data, opened.axes


def open_image(
    path: str | Path,
    *,
    series: str | int | None = None,
    axes: str | None = None,
    indexed: bool = False,
) -> OpenedImage:
    """As :func:`read_image`, with what else the file holds.

    Parameters
    ----------
    indexed
        Take a palette's indices instead of its colours: labels are saved so.
    """
    address, path = address_of(path), Path(path)
    if address is not None:
        with decoding(address, remedy_at(address)):
            given = (address, series, axes)
            return in_time(path, lambda: _open_address(*given), seconds=FOLDER_S)
    if not os.path.exists(path):
        raise FrameError(f"There is no file {path}. Check its name and folder.")
    with decoding(path):
        return in_time(path, lambda: _open(path, series, axes, indexed=indexed))


def _open(path: Path, series: str | int | None, axes: str | None, *, indexed: bool) -> OpenedImage:
    found, is_plate = _series(path, indexed=indexed)
    chosen = choose(path, found, series, must_choose=is_plate)
    data, said = chosen.load()
    letters = said if axes is None else axes.upper()
    for level in data if isinstance(data, list) else [data]:
        _check_size(path, level, letters)
    others = listed(found) if series is None and len(found) > 1 else ""
    return OpenedImage(data, letters, others)


def _open_address(address: str, series: str | int | None, axes: str | None) -> OpenedImage:
    """As `_open`; how much is stored there, nobody says."""
    found, is_plate = zarr_series(address)
    chosen = choose(address, found, series, must_choose=is_plate)
    data, said = chosen.load()
    others = listed(found) if series is None and len(found) > 1 else ""
    return OpenedImage(data, said if axes is None else axes.upper(), others)


def list_series(path: Path) -> list[Series]:
    """The images in a file; none of them is read.

    Raises
    ------
    FrameError
        If the file is missing, broken or of another kind.
    """
    with decoding(path):
        return in_time(path, lambda: _series(path, indexed=False)[0])


def is_readable(path: Path) -> bool:
    """Whether a file's name is one of those that can be read; hidden files are not."""
    suffixes = (*TIFF_SUFFIXES, *PICTURE_SUFFIXES, *NPY_SUFFIXES)
    return not path.name.startswith(".") and path.suffix.lower() in suffixes


def images_in(folder: Path) -> list[Path]:
    """The image files and Zarr images of a folder, in natural order.

    Labels that belong to one of them (``NAME.labels.tif``, ``NAME_seg.npy``) are left out.

    Raises
    ------
    FrameError
        If the folder cannot be listed.
    """
    try:
        entries = [each for each in folder.iterdir() if not each.name.startswith(".")]
    except OSError as error:
        raise FrameError(
            f"The folder {folder} cannot be read: {error.strerror or error}. Choose another one."
        ) from error
    images = [each for each in entries if is_readable(each) or (each.is_dir() and is_zarr(each))]
    images = [each for each in images if not LABELS_NAME.search(each.name.lower())]
    return sorted(images, key=lambda each: natural(each.name))


def _series(path: Path, *, indexed: bool) -> tuple[list[Series], bool]:
    """The images in a file, and whether one has to be chosen among them."""
    if path.is_dir():
        if is_zarr(path):
            return zarr_series(path)
        frames = [file for file in path.iterdir() if file.is_file() and is_readable(file)]
        return [folder_series(path, frames, lambda file: open_image(file, indexed=indexed))], False
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return zarr_series(path)
    if suffix in TIFF_SUFFIXES:
        return tiff_series(path, indexed=indexed), False
    if suffix in PICTURE_SUFFIXES:
        return [picture_series(path, indexed=indexed)], False
    if suffix in NPY_SUFFIXES:
        return [npy_series(path, masks=indexed)], False
    raise FrameError(
        f"{path.name} is not in a format that can be read. Save it as TIFF, PNG, JPEG or Zarr."
    )


def _check_size(path: Path, array: Any, axes: str | None) -> None:
    """Notice a frame that is far larger than what the file can hold, before memory is requested."""
    sizes = [int(size) for size in array.shape]
    letters = axes if axes and len(axes) == len(sizes) else "Q" * (len(sizes) - 2) + "YX"
    in_frame = [n for n, letter in enumerate(letters[: len(sizes)]) if letter in "YXCS"]
    nbytes = math.prod(sizes[n] for n in in_frame) * array.dtype.itemsize
    pieces = getattr(array, "chunks", None) or sizes
    n_chunks = math.prod(-(-sizes[n] // max(1, int(pieces[n]))) for n in in_frame)
    is_large = nbytes > LARGE_FRAME or n_chunks > MANY_CHUNKS
    if is_large and max(nbytes / MOST_GAIN, n_chunks * LEAST_CHUNK) > (stored := _stored(path)):
        raise FrameError(
            f"{path} says that a frame of it takes {nbytes / 2**20:.0f} MB in {n_chunks} pieces, "
            f"but holds {stored / 2**20:.1f} MB: it is damaged, or empty. Save it again with "
            "the program that wrote it."
        )


def _stored(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(
        os.stat(os.path.join(folder, name)).st_size
        for folder, _, names in os.walk(path)
        for name in names
    )
