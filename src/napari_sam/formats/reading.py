"""Files of others, read with care: how large they may be, what numbers they may hold."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import HIGHEST_ID, FrameError

LARGEST_TEXT = 2**31  # bytes
FARTHEST = 1e7  # pixels

AGAIN = "Export it again from the program that wrote it."


def read_json(path: Path, *, with_nan: bool = False) -> Any:
    """A JSON file.

    Parameters
    ----------
    with_nan
        Whether NaN and infinity are read, for the entries that hold them to be left out.

    Raises
    ------
    FrameError
        If it is too large, broken, or holds NaN.
    """
    return parse_json(path, read_bytes(path), with_nan=with_nan)


def parse_json(path: Path, content: bytes, *, with_nan: bool = False) -> Any:
    """What JSON says; NaN and infinity are none, unless they are left out later."""

    def refuse(word: str) -> NoReturn:
        raise FrameError(f"{path} holds {word} where a number is wanted. {AGAIN}")

    try:
        return json.loads(content.decode("utf-8-sig"), parse_constant=float if with_nan else refuse)
    except json.JSONDecodeError as error:
        raise FrameError(
            f"{path} is no JSON, or ends too early: line {error.lineno}, column {error.colno}. "
            f"{AGAIN}"
        ) from error
    except UnicodeDecodeError as error:
        raise FrameError(f"{path} is no text in UTF-8. {AGAIN}") from error
    except RecursionError as error:
        raise FrameError(f"{path} is nested too deeply to be read. {AGAIN}") from error


def read_bytes(path: Path) -> bytes:
    """The content of a file that exists and has a size that text may have."""
    if not path.is_file():
        raise FrameError(f"There is no file {path}. Check its name and folder.")
    if os.path.getsize(path) > LARGEST_TEXT:
        raise FrameError(f"{path} has over {LARGEST_TEXT / 1e9:.0f} GB. Export it in parts.")
    return path.read_bytes()


def expect(path: Path, what: str, value: Any, kind: Any) -> Any:
    """A value of a kind.

    Raises
    ------
    FrameError
        If it is another one.
    """
    if not isinstance(value, kind):
        wanted = {dict: "an object {…}", list: "a list […]"}.get(kind, "an object or a list")
        raise FrameError(
            f"{path}: {what} is {type(value).__name__}, where {wanted} is wanted. {AGAIN}"
        )
    return value


def entry(path: Path, what: str, record: Mapping[str, Any], name: str, kind: type) -> Any:
    """What a record has under a name."""
    if name not in record:
        raise FrameError(f"{path}: {what} has no {name!r}. {AGAIN}")
    return expect(path, f"{name!r} of {what}", record[name], kind)


def vertices(path: Path, what: str, points: Any) -> NDArray[np.float64]:
    """Polygon points ``(N, 2)``, x and y, finite and near the image.

    Raises
    ------
    FrameError
        If they are none.
    """
    try:
        array = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.ndim != 2 or array.shape[1] < 2:
        raise FrameError(f"{path}: {what} is no list of points x, y. {AGAIN}")
    wrong = ~(np.abs(array[:, :2]) < FARTHEST)
    if wrong.any():
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        x, y = array[row, :2]
        raise FrameError(
            f"{path}: point {row} of {what} is at x {x:g}, y {y:g}, which is nowhere in an image. "
            f"{AGAIN}"
        )
    return array[:, :2]


def whole(path: Path, what: str, value: Any, low: int = 0, high: int = HIGHEST_ID) -> int:
    """A whole number in a range.

    Raises
    ------
    FrameError
        If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        number = math.nan
    else:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
    if not (math.isfinite(number) and number == int(number) and low <= number <= high):
        raise FrameError(
            f"{path}: {what} is {str(value)[:40]!r}. Wanted is a whole number of {low} to {high}. "
            f"{AGAIN}"
        )
    return int(number)


def overlapped(path: Path, n_pixels: int) -> tuple[str, ...]:
    """What to say of pixels that several objects wanted."""
    if not n_pixels:
        return ()
    return (
        f"{n_pixels} pixels of {path.name} are of several objects. Labels hold one a pixel: the "
        "first object keeps them.",
    )
