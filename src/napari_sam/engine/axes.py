"""The meaning of the axes of an array: which span the frame, which holds colours or channels."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from .errors import FrameError

UNKNOWN = "Q"  # a letter for axes of which nothing more is known


def positions_of(index: Sequence[int | None]) -> tuple[int, ...]:
    """Where a frame is, on the axes that it does not span."""
    return tuple(position for position in index if position is not None)


def checked_index(index: Sequence[int | None], shape: tuple[int, ...]) -> tuple[int | None, ...]:
    """An index that is one of a frame of an image of this shape, in Python's own integers."""
    known = isinstance(index, Sequence) and all(
        at is None or hasattr(at, "__index__") for at in index
    )
    if not known or len(index) != len(shape) or sum(position is None for position in index) != 2:
        raise FrameError(
            f"{index} is not a frame of an image of shape {shape}. Give {len(shape)} "
            "entries, None for y and x and a position for every other axis."
        )
    positions = tuple(None if at is None else operator.index(at) for at in index)
    leading = [(p, n) for p, n in zip(positions, shape, strict=True) if p is not None]
    if any(not 0 <= position < size for position, size in leading):
        given = ", ".join(str(position) for position, _ in leading)
        sizes = " × ".join(str(size) for _, size in leading)
        ranges = ", ".join(f"0 to {size - 1}" for _, size in leading)
        raise FrameError(f"Frame {given} is outside a stack of {sizes} frames ({ranges}).")
    return positions


def checked_letters(axes: str | None, ndim: int, rgb: bool | None) -> str | None:
    if axes is None:
        return None
    if not isinstance(axes, str):
        raise FrameError(
            f"The axes {axes!r} are not text. Give one letter for each axis in one word, "
            "such as TZYX."
        )
    letters = axes.upper()
    if rgb and len(letters) == ndim - 1 and not set(letters) & {"C", "S"}:
        letters += "S"  # napari names the axes of an RGB image without its colours
    twice = [letter for letter in letters if letter != UNKNOWN and letters.count(letter) > 1]
    if len(letters) != ndim or twice:
        raise FrameError(
            f"The axes {axes!r} do not fit an array of {count(ndim, 'axis', 'axes')}. Give "
            "one letter for each axis, such as TZYX or YXC, each at most once."
        )
    return letters


def find_colours(
    letters: str | None, shape: tuple[int, ...], rgb: bool | None
) -> tuple[int | None, bool]:
    """The axis of colours or channels, and whether it holds RGB(A)."""
    last = len(shape) - 1
    if letters is None:
        looks_rgb = last == 2 and shape[last] in (3, 4)
        axis = last if rgb or (rgb is None and looks_rgb) else None
    else:
        named = [letters.index(name) for name in "SC" if name in letters]
        axis = named[0] if named else None
        looks_rgb = any(shape[a] in (3, 4) and (letters[a] == "S" or a == last) for a in named[:1])
    if rgb and (axis is None or shape[axis] not in (3, 4)):
        raise FrameError(
            f"An image of shape {shape} with axes {letters or 'unnamed'} was declared as RGB, but "
            "has no colour axis of 3 or 4. Say rgb=False, or name the colour axis C."
        )
    if len(shape) - (axis is not None) < 2:
        raise FrameError(
            f"Besides its colour axis, an image of shape {shape} has no two axes left. "
            "Give at least y and x."
        )
    return axis, looks_rgb if rgb is None else rgb


def checked_channels(
    channel: int | Sequence[int] | None, n_channels: int | None
) -> tuple[int, ...]:
    if channel is None:
        return tuple(range(n_channels or 1))
    channels = tuple(channel) if isinstance(channel, Sequence) else (channel,)
    if not all(hasattr(each, "__index__") for each in channels):
        raise FrameError(
            f"The channel {channel!r} is not a whole number. Give its position, counted from 0, or "
            "several of them."
        )
    wanted = ", ".join(map(str, channels)) or "none"
    if n_channels is None:
        raise FrameError(
            f"Channel {wanted} was requested, but no axis of this image is known to hold channels. "
            'Leave the channel out. Is there such an axis? Name it C in the axes, such as "CYX".'
        )
    if not channels or any(not 0 <= c < n_channels for c in channels):
        remedy = "Choose 0." if n_channels == 1 else f"Choose from 0 to {n_channels - 1}."
        raise FrameError(
            f"Channel {wanted} is not in an image of {count(n_channels, 'channel')}. {remedy}"
        )
    return tuple(operator.index(c) for c in channels)


def checked_displayed(
    displayed: tuple[int, int] | None, letters: str | None, ndim: int
) -> tuple[int, int]:
    if displayed is None:
        named = letters is not None and "Y" in letters and "X" in letters
        displayed = (letters.index("Y"), letters.index("X")) if letters and named else (-2, -1)
    axes = {operator.index(axis) for axis in displayed}
    wrapped = sorted({axis % ndim for axis in axes if -ndim <= axis < ndim})
    if len(displayed) != 2 or len(wrapped) != 2:
        raise FrameError(
            f"The axes {tuple(displayed)} cannot span a frame of an image of {ndim} axes. "
            f"Give two different ones, 0 to {ndim - 1}; the colour axis is not counted."
        )
    return wrapped[0], wrapped[1]


def count(number: int, noun: str, nouns: str | None = None) -> str:
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"
