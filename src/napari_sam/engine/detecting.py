"""A detector's answers as prompts: any function that looks at a frame.

It may be one of Python, or one that another package registers under the entry points
``napari_sam.prompters``. It is given a frame ``(H, W, 3)`` uint8 and returns boxes
``y0, x0, y1, x1`` in its pixels, or :class:`ObjectPrompts` with classes and scores:
``ObjectPrompts.of_box(box, class_name="nucleus", score=0.8)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from .axes import positions_of
from .errors import FrameError, PromptError, SamError
from .frames import FrameIndex, FrameStack
from .guard import running
from .left_out import LeftOut
from .prompt_set import ObjectPrompts

PROMPTERS = "napari_sam.prompters"  # a group of entry points
MOST_PIXELS = 2**28  # of a frame that a detector is given whole, 0.8 GB in colours

Prompter: TypeAlias = Callable[[NDArray[np.uint8]], Iterable[Any]]


def detect(
    prompter: Prompter,
    stack: FrameStack,
    frames: Iterable[FrameIndex] | None = None,
    *,
    name: str = "The detector",
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[ObjectPrompts | LeftOut]:
    """Have a detector look at each frame: ``PromptSet.of(detect(prompter, stack))``.

    Parameters
    ----------
    frames
        In their order; ``None``: all of the stack.
    name
        Of the detector, for messages.
    progress
        Called as ``progress(done, total)`` in frames; what it raises stops the work.

    Raises
    ------
    SamError
        If a frame is too large to be given to a detector, or the detector fails.
    """
    wanted = list(stack.indices() if frames is None else frames)
    for frame in wanted:
        _check_size(stack.frame_shape_of(frame), name)
    for done, frame in enumerate(wanted):
        if progress is not None:
            progress(done, len(wanted))
        with running(name):
            found = list(prompter(stack.frame(frame, long_side=None)))
        at = positions_of(frame)
        for n, each in enumerate(found):
            where = f"detection {n}" + (f" of frame {','.join(map(str, at))}" if at else "")
            try:
                prompted = each if isinstance(each, ObjectPrompts) else ObjectPrompts.of_box(each)
                yield replace(prompted, at=at, where=where)
            except PromptError as error:
                yield LeftOut(where, str(error))
    if progress is not None:
        progress(len(wanted), len(wanted))


def _check_size(frame_shape: tuple[int, int], name: str) -> None:
    height, width = frame_shape
    if height * width > MOST_PIXELS:
        raise FrameError(
            f"{name} is given whole frames of up to {MOST_PIXELS / 1e6:.0f} megapixels, and one of "
            f"{height} × {width} has {height * width / 1e6:.0f}. Give it a part of the image, or a "
            "level of a lower resolution; automatic segmentation takes frames of any size."
        )


def known_prompters() -> tuple[str, ...]:
    """The names of all detectors that installed packages register."""
    return tuple(sorted({each.name for each in entry_points(group=PROMPTERS)}))


def find_prompter(name: str) -> Prompter:
    """A detector that an installed package registers.

    Raises
    ------
    SamError
        If there is none of that name, or its package does not load.
    """
    found = tuple(entry_points(group=PROMPTERS, name=name))
    if not found:
        known = ", ".join(known_prompters()) or "none"
        raise SamError(
            f"There is no detector {name!r}. Install a package that has one under the entry points "
            f"{PROMPTERS}; there are: {known}."
        )
    with running(f"The detector {name}"):
        return cast(Prompter, found[0].load())
