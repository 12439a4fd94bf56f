"""Labels with what is known of them: axes, size of a pixel, mothers, classes, facts of objects."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import FrameError
from .frames import FrameIndex
from .review_state import Review

Facts: TypeAlias = Mapping[tuple[int, FrameIndex], Mapping[str, Any]]
"""For an object in a frame, further columns of its row."""

STRIP = 1024  # rows
UNKNOWN = "Q"  # an axis that leads to a frame, and nothing more is known of it


@dataclass(frozen=True, eq=False)
class Labelled:
    """The objects of an image, to be measured or exported. Made by :meth:`of`."""

    labels: Any  # (…, H, W) ids, 0 for the background; read frame by frame
    axes: str  # a letter an axis, the last two YX
    scale: tuple[float, ...]  # units a pixel, along every axis
    units: tuple[str, ...]  # "micrometer", "second"; "pixel" where nobody says it
    parents: Mapping[int, tuple[int, ...]] = field(default_factory=dict)  # daughter → mothers
    classes: Mapping[int, str] = field(default_factory=dict)  # by object
    facts: Facts = field(default_factory=dict)
    reviews: Mapping[int, Review] = field(default_factory=dict)  # by object
    problems: tuple[str, ...] = ()  # what of them could not be read, one sentence each

    @classmethod
    def of(
        cls,
        labels: Any,
        *,
        axes: str | None = None,
        scale: Sequence[float] | None = None,
        units: str | Sequence[str] | None = None,
        parents: Mapping[int, Sequence[int]] | None = None,
        classes: Mapping[int, str] | None = None,
        facts: Facts | None = None,
        reviews: Mapping[int, Review] | None = None,
        problems: Sequence[str] = (),
    ) -> Labelled:
        """Labels of any array type with what is said of them.

        Parameters
        ----------
        labels
            Ids ``(…, H, W)``, whole numbers, 0 for the background.
        axes
            A letter an axis, such as ``"TZYX"``; by default nothing is known of leading ones.
        scale
            Units a pixel along every axis; or of y and x only, or one for both.
        units
            One for the axes of space, or one an axis; pixels by default.
        parents
            Mothers of daughters.
        classes, reviews
            Of objects.
        facts
            Of objects in frames.
        problems
            What of them could not be read.

        Raises
        ------
        FrameError
            If these are not labels, or axes, scale or units do not fit them.
        """
        if not hasattr(labels, "shape") or not hasattr(labels, "dtype"):
            labels = np.asarray(labels)
        ndim = len(labels.shape)
        if ndim < 2 or np.dtype(labels.dtype).kind not in "buif":
            raise FrameError(
                f"Labels are whole numbers on at least two axes, not {labels.dtype} of shape "
                f"{tuple(labels.shape)}. Give the ids of objects, (…, H, W)."
            )
        letters = (UNKNOWN * (ndim - 2) + "YX") if axes is None else axes.upper()
        if len(letters) != ndim or letters[-2:] != "YX":
            raise FrameError(
                f"The axes {letters} do not fit labels of shape {tuple(labels.shape)}. Give one "
                "letter for each axis, Y and X last."
            )
        sizes = [abs(float(each)) for each in _one_an_axis(scale, ndim, 1.0, "scale")]
        if not all(0 < each < math.inf for each in sizes):
            raise FrameError(f"Pixels of the size {scale} do not exist. Give numbers above 0.")
        said = [units] if isinstance(units, str) else units
        if said is not None and len(said) == 1:
            said = [said[0] if letter in "ZYX" else "pixel" for letter in letters]
        names = _one_an_axis(said, ndim, "pixel", "units")
        return cls(
            labels,
            letters,
            tuple(sizes),
            tuple(str(each) for each in names),
            {daughter: tuple(mothers) for daughter, mothers in (parents or {}).items()},
            dict(classes or {}),
            facts or {},
            dict(reviews or {}),
            tuple(problems),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The size along every axis."""
        return tuple(int(size) for size in self.labels.shape)

    @property
    def leading(self) -> tuple[str, ...]:
        """A name for each axis that leads to a frame: its letter, else its number."""
        letters = self.axes[:-2]
        return tuple(
            f"axis{n}" if letter == UNKNOWN or letters.count(letter) > 1 else letter.lower()
            for n, letter in enumerate(letters)
        )

    @property
    def has_depth(self) -> bool:
        """Whether these are volumes."""
        return self.axes[-3:] == "ZYX"

    def positions(self, n_whole: int = 2) -> Iterator[tuple[int, ...]]:
        """The positions on the leading axes of all frames, or of all volumes for 3."""
        return iter(itertools.product(*map(range, self.shape[:-n_whole])))

    def at(self, positions: tuple[int, ...]) -> NDArray[Any]:
        """The ids of a frame, or of a volume, as whole numbers."""
        pixels = np.asarray(self.labels[positions] if positions else self.labels[...])
        return pixels if pixels.dtype.kind in "ui" else pixels.astype(np.uint32)

    def frames(self) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
        """All frames in order: positions on the leading axes, ids ``(H, W)``."""
        for positions in self.positions():
            yield positions, self.at(positions)

    def strips(self) -> Iterator[tuple[tuple[int, ...], int, NDArray[Any]]]:
        """All frames in order, some rows at a time: positions, the first row, ids ``(h, W)``.

        A frame of any size takes the memory of one strip.
        """
        for positions in self.positions():
            for top in range(0, self.shape[-2], STRIP):
                rows = (*positions, slice(top, top + STRIP))
                pixels = np.asarray(self.labels[rows])
                whole = pixels.dtype.kind in "ui"
                yield positions, top, pixels if whole else pixels.astype(np.uint32)


def _one_an_axis(given: Any, ndim: int, default: Any, name: str) -> list[Any]:
    """What was said of the last axes, or of y and x together, with the default for the others."""
    if given is None:
        return [default] * ndim
    said = list(given) if isinstance(given, Sequence | np.ndarray) else [given]
    if len(said) == 1:
        said *= 2
    if len(said) > ndim:
        raise FrameError(
            f"{len(said)} values of {name} are given for labels of {ndim} axes. Give one for each."
        )
    return [default] * (ndim - len(said)) + said
