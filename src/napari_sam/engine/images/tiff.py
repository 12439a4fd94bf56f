"""TIFF and its kin: every series by its name, frame by frame if it is large."""

from __future__ import annotations

import contextlib
import math
import struct
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image

from ..errors import FrameError
from ..guard import decoding, in_time
from .palettes import Coloured, colours_of
from .series import Pixels, Series, size_of

READ_AT_ONCE = 64 * 2**20  # bytes; a smaller TIFF is read whole, so that its file is not kept open
MOST_BY_PILLOW = 512 * 2**20  # bytes; what no other library decodes is read whole

LAYOUTS = {42: ("H", 12, "I", 4), 43: ("Q", 20, "Q", 8)}
"""By version: type of the number of tags, bytes of a tag, type of a place, where the first is."""

PAGE_BYTES = 512  # read at once where a page begins

TIFF_SUFFIXES = (
    *(".tif", ".tiff", ".btf", ".tf2", ".tf8"),
    *(".lsm", ".svs", ".ndpi", ".scn", ".bif", ".qptiff"),
)


def tiff_series(path: Path, *, indexed: bool = False) -> list[Series]:
    """The series of a file, as its metadata tell them; with ``indexed`` without palettes."""
    _check_chain(path)
    with tifffile.TiffFile(path) as file:
        found = [
            Series(
                name=str(series.name or ""),
                load=partial(_load, path, number, indexed=indexed),
                about=size_of(series.shape, series.axes),
            )
            for number, series in enumerate(file.series)
        ]
    if not found:
        raise FrameError(f"{path} holds no image. Save it again with the program that wrote it.")
    return found


def tiff_axes(path: Path, shape: tuple[int, ...]) -> str | None:
    """The letters of the axes of the first series of a shape, as its header says.

    Raises
    ------
    FrameError
        If the file is missing or broken.
    """
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return None
    with decoding(path):
        return in_time(path, lambda: _axes_of(path, shape))


def _axes_of(path: Path, shape: tuple[int, ...]) -> str | None:
    with tifffile.TiffFile(path) as file:
        return next((str(each.axes) for each in file.series if tuple(each.shape) == shape), None)


def _check_chain(path: Path) -> None:
    """Notice pages of which one names an earlier one as the next: there would be no end of them."""
    seen: set[int] = set()
    with path.open("rb", buffering=PAGE_BYTES) as file:
        for page in _pages(file):
            if page in seen:
                raise FrameError(
                    f"The pages of {path} have no end: after {len(seen)} of them the first ones "
                    "come again. The file is damaged; save it again from the program it is from."
                )
            seen.add(page)


def _pages(file: BinaryIO) -> Iterator[int]:
    """Where the pages of a TIFF begin, each as the one before it says."""
    header = file.read(4)
    order = {b"II": "<", b"MM": ">"}.get(header[:2])
    layout = LAYOUTS.get(int.from_bytes(header[2:], "little" if order == "<" else "big"))
    if order is None or layout is None:
        return
    count, entry, place, at = layout
    with contextlib.suppress(struct.error, OverflowError, OSError):  # beyond the end of the file
        while page := _number(file, at, order + place):
            yield page
            n_tags = _number(file, page, order + count)
            at = page + struct.calcsize(count) + entry * n_tags


def _number(file: BinaryIO, at: int, layout: str) -> int:
    file.seek(at)
    number: int = struct.unpack(layout, file.read(struct.calcsize(layout)))[0]
    return number


def _load(path: Path, number: int, *, indexed: bool) -> Pixels:
    with tifffile.TiffFile(path) as file:
        series = file.series[number]
        colours = None if indexed else _palette(series.keyframe)
        problem = _missing_decoder(series.keyframe)
        pixels: Any = None
        if problem is not None:
            pixels = _by_pillow(path, series, problem)
        elif not series.is_pyramidal and series.nbytes <= READ_AT_ONCE:
            pixels = series.asarray()
    if pixels is None:
        pixels = _opened(path, number)
    if colours is None:
        return pixels, series.axes
    levels = [
        Coloured(level, colours) for level in (pixels if isinstance(pixels, list) else [pixels])
    ]
    return levels if isinstance(pixels, list) else levels[0], f"{series.axes}S"


def _palette(page: Any) -> NDArray[np.uint8] | None:
    """The colours ``(n, 3)`` that the pixels of a page stand for, if they do."""
    is_palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.samplesperpixel == 1
    if not is_palette or page.colormap is None or np.ndim(page.colormap) != 2:
        return None
    return colours_of(page.colormap)


def _opened(path: Path, number: int) -> Any:
    """A series as zarr arrays; its file is closed when the last of them is gone."""
    file = tifffile.TiffFile(path)
    try:
        series = file.series[number]
        _check_segments(path, series.keyframe)
        store = series.aszarr()
        node = zarr.open(store, mode="r")
    except BaseException:
        file.close()
        raise
    weakref.finalize(store, file.close)
    if isinstance(node, zarr.Group):
        return [node[str(level)] for level in range(len(series.levels))]
    return node


def _check_segments(path: Path, page: Any) -> None:
    """Notice a page that says it has far more strips or tiles than it tells the places of."""
    wanted, found = math.prod(page.chunked), len(page.dataoffsets)
    if found < wanted:
        raise FrameError(
            f"{path} says that a frame of it is in {wanted} pieces, but tells where {found} are: "
            "it is damaged. Save it again with the program that wrote it."
        )


def _missing_decoder(page: Any) -> Exception | None:
    """Why the pixels of a page cannot be decoded here."""
    try:
        decoder = tifffile.TIFF.DECOMPRESSORS[page.compression]
        tifffile.TIFF.UNPREDICTORS[page.predictor]
        if decoder is not None:
            _try_to_import(decoder)
    except (KeyError, ImportError) as error:
        name = getattr(page.compression, "name", page.compression)
        missing = NotImplementedError(f"it is compressed by {name}")
        missing.__cause__ = error
        return missing
    return None


def _try_to_import(decoder: Callable[[bytes], object]) -> None:
    """Some decoders import their library when they are used; what they say of nothing is no matter.

    Raises
    ------
    ImportError
        If the library is not there.
    """
    try:
        decoder(b"")
    except ImportError:
        raise
    except Exception:  # noqa: BLE001 of nothing every decoder may say what it likes
        return


def _by_pillow(path: Path, series: Any, problem: Exception) -> NDArray[Any]:
    """Plain pages by Pillow, which has LZW, JPEG and more inside; else what the problem was."""
    if series.nbytes > MOST_BY_PILLOW or series.is_pyramidal:
        raise problem
    pages = []
    try:
        with Image.open(path) as file:
            for page in series.pages:
                file.seek(page.index)
                pages.append(np.asarray(file))
        return np.stack(pages).reshape(series.shape).astype(series.dtype, casting="safe")
    except (OSError, ValueError, TypeError, EOFError, AttributeError) as error:
        raise problem from error
