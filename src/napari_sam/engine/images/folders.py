"""A folder of image files as a movie: one file a frame, in natural order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import FrameError
from .lazy import Lazy
from .series import Series, size_of


class Opened(Protocol):
    """An opened file."""

    @property
    def data(self) -> Any: ...

    @property
    def axes(self) -> str | None: ...


@dataclass(frozen=True, eq=False)
class FrameFiles(Lazy):
    """Files of one shape and type, stacked along a first axis; each is read when requested."""

    files: tuple[Path, ...]
    open: Callable[[Path], Opened]
    frame_shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of files, and the shape of one."""
        return len(self.files), *self.frame_shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, where: Any) -> NDArray[Any]:
        first, *rest = where if isinstance(where, tuple) else (where,)
        if first is Ellipsis:
            first, rest = slice(None), [Ellipsis, *rest]
        if isinstance(first, slice):
            return np.stack([self._read(file)[tuple(rest)] for file in self.files[first]])
        return np.asarray(self._read(self.files[first])[tuple(rest)])

    def _read(self, file: Path) -> NDArray[Any]:
        pixels = np.asarray(finest(self.open(file).data)[...])
        if pixels.shape != self.frame_shape or pixels.dtype != self.dtype:
            raise FrameError(
                f"{file} has the shape {pixels.shape} and type {pixels.dtype}, the first file of "
                f"its folder {self.frame_shape} and {self.dtype}. A folder is read as a movie: all "
                "frames alike. Give images of different kinds one by one."
            )
        return pixels


def folder_series(path: Path, files: Sequence[Path], open_file: Callable[[Path], Opened]) -> Series:
    """The files as a movie; the axes of one of them, after T.

    Raises
    ------
    FrameError
        If there is none.
    """
    ordered = sorted(files, key=lambda file: natural(file.name))
    if not ordered:
        raise FrameError(
            f"{path} is a folder without a Zarr image or frames. Give one image file, a folder of "
            "them, or the folder that holds zarr.json, .zarray or .zgroup."
        )
    first = open_file(ordered[0])
    pixels = finest(first.data)
    frames = FrameFiles(tuple(ordered), open_file, tuple(pixels.shape), pixels.dtype)
    axes = None if first.axes is None else ("Q" if "T" in first.axes else "T") + first.axes
    about = size_of(frames.shape, axes)
    return Series(name=path.name, load=lambda: (frames, axes), about=about)


def natural(name: str) -> list[tuple[int, int | str]]:
    """A key that sorts ``t2`` before ``t10``, in any case."""
    parts = re.findall(r"\d+|\D+", name.lower())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


def finest(data: Any) -> Any:
    """The first of several resolutions."""
    return data[0] if isinstance(data, list) else data
