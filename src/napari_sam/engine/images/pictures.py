"""PNG, JPEG and what else Pillow reads; an animation is a movie."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from ..errors import FrameError
from .series import Pixels, Series

PICTURE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".jp2", ".tga"),
    *(".pbm", ".pgm", ".ppm", ".pnm"),
)
MOST_AT_ONCE = 512 * 2**20  # bytes of an animation that is read without a question
MOST_GAIN = 1100  # as much smaller than its pixels a file may be, beyond
COLOURS = ("RGB", "RGBA")
TO_COLOURS = ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa")


def picture_series(path: Path, *, indexed: bool = False) -> Series:
    """A picture; with ``indexed`` a palette's indices rather than its colours."""
    return Series(name="", load=partial(_load, path, indexed=indexed))


def _load(path: Path, *, indexed: bool) -> Pixels:
    with Image.open(path) as picture:
        mode = _mode(picture, indexed=indexed)
        if (n_frames := getattr(picture, "n_frames", 1)) > 1:
            _check_movie(path, picture, n_frames, mode)
            frames = ImageSequence.Iterator(picture)
            pixels = np.stack([_pixels(frame, mode) for frame in frames])
        else:
            pixels = _pixels(picture, mode)
    return pixels, "T" * (pixels.ndim - (mode in COLOURS) > 2) + "YX" + "S" * (mode in COLOURS)


def _check_movie(path: Path, picture: Image.Image, n_frames: int, mode: str) -> None:
    """Notice an animation that grows out of all proportion, before memory is asked for."""
    nbytes = math.prod(picture.size) * n_frames * (len(mode) if mode in COLOURS else 1)
    stored = path.stat().st_size
    if nbytes > MOST_AT_ONCE and nbytes > MOST_GAIN * stored:
        raise FrameError(
            f"{path} holds {n_frames} frames of {picture.width} × {picture.height} pixels, "
            f"{nbytes / 2**20:.0f} MB, in {stored / 2**20:.1f} MB. An animation is read whole: "
            "save its frames as TIFF, or as files in a folder."
        )


def _mode(picture: Image.Image, *, indexed: bool) -> str:
    """The mode in which a picture is taken."""
    if indexed and picture.mode == "P":
        return "P"
    if picture.mode in TO_COLOURS:
        return "RGB"
    return "L" if picture.mode in ("LA", "La") else picture.mode


def _pixels(picture: Image.Image, mode: str) -> NDArray[Any]:
    return np.asarray(picture if picture.mode == mode else picture.convert(mode))
