"""The images in one file: the series of a TIFF, the wells of a plate, the arrays of a group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import FrameError

Pixels: TypeAlias = tuple[Any, str | None]
"""An array, or arrays of falling resolution; and a letter an axis, as far as the file says it."""

SHOWN = 12  # names in a message


@dataclass(frozen=True)
class Series:
    """One of the images in a file, not read yet."""

    name: str
    load: Callable[[], Pixels]
    about: str = ""  # its shape, in words


def choose(
    path: Path | str,
    series: Sequence[Series],
    wanted: str | int | None,
    *,
    must_choose: bool = False,
) -> Series:
    """The series of this name or number, counted from 0; the first if none was requested.

    Raises
    ------
    FrameError
        If there is no such series; or none was requested, and the first is no better than others.
    """
    if wanted is None and must_choose and len(series) > 1:
        raise FrameError(f"{path} holds {listed(series)}. Choose one with --series.")
    if wanted is None:
        return series[0]
    by_name = {each.name: each for each in reversed(series)}
    by_number = {str(number): each for number, each in enumerate(series)}
    found = (by_number | by_name).get(str(wanted)) if not isinstance(wanted, int) else None
    if isinstance(wanted, int):
        found = by_number.get(str(wanted))
    if found is None:
        raise FrameError(
            f"There is no series {wanted!r} in {path}. It holds {listed(series)}. Give the name or "
            "the number of one of them."
        )
    return found


def listed(series: Sequence[Series]) -> str:
    """All series in words, with the numbers by which they are chosen."""
    shown = [
        f"{number}: {' '.join(filter(None, (each.name, each.about)))}"
        for number, each in enumerate(series[:SHOWN])
    ]
    rest = [f"and {len(series) - SHOWN} more"] if len(series) > SHOWN else []
    count = "1 image" if len(series) == 1 else f"{len(series)} images"
    return f"{count} ({', '.join([*shown, *rest])})"


def size_of(shape: Sequence[int], axes: str | None) -> str:
    """A shape in words, such as ``5 × 16 × 32 TYX``."""
    return " ".join(filter(None, (" × ".join(map(str, shape)), axes)))
