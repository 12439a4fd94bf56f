"""Prompts: what was clicked and drawn for one object in one frame.

Coordinates are yx in frame pixels; the centre of the first pixel is (0, 0), so pixel (r, c) covers
r ± 0.5, c ± 0.5 and a frame of H × W pixels reaches from -0.5 to H - 0.5 and W - 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .crop import Box, Crop
from .errors import PromptError
from .frames import round_half_up
from .masks import ellipse_mask, mask_to_box, polygon_mask

Point: TypeAlias = tuple[float, float]

SCRIBBLE_SPACING = 16.0  # frame pixels between two points of a scribble
MOST_SCRIBBLE_POINTS = 10_000
HIGHEST_ID = int(np.iinfo(np.uint32).max)


def checked_object_id(object_id: Any, highest: int = HIGHEST_ID) -> int:
    """An object's id, if labels can hold it.

    Raises
    ------
    PromptError
        If it is not an object id.
    """
    is_whole = isinstance(object_id, (int, np.integer)) and not isinstance(object_id, bool)
    if not is_whole or not 1 <= object_id <= highest:
        raise PromptError(
            f"{object_id} is not an object id. Give a whole number of 1 or more (0 is the "
            f"background) and of {highest} or less, which is what these labels can hold."
        )
    return int(object_id)


def checked_diameter(diameter: float | None) -> float | None:
    """The diameter of an expected object, if there can be such a one.

    Raises
    ------
    PromptError
        If it is not a finite number above 0.
    """
    if diameter is not None and not 0 < diameter < math.inf:
        raise PromptError(
            f"No cell has a diameter of {diameter:g} pixels. Give a finite number above 0, or "
            "leave the size of the cells out."
        )
    return diameter


@dataclass(frozen=True, eq=False)
class Prompts:
    """Points, a box and a mask of one object in one frame. Equal and hashed by content.

    Parameters
    ----------
    points
        ``(y, x)`` in frame pixels.
    labels
        One a point: 1 for "this belongs to the object", 0 for "this does not".
    box
        ``(y0, x0, y1, x1)`` in frame pixels; opposite corners in any order.
    mask
        ``(H, W)`` bool, a first guess of the object in the frame's own pixels.

    Raises
    ------
    PromptError
        If there are not as many labels as points, or a coordinate is not a finite number.
    """

    points: tuple[Point, ...] = ()
    labels: tuple[int, ...] = ()
    box: Box | None = None
    mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if not (_is_nothing(self.points) and _is_nothing(self.labels)):
            object.__setattr__(self, "points", _checked_points(self.points))
            object.__setattr__(self, "labels", _checked_labels(self.labels, len(self.points)))
        if self.box is not None:
            object.__setattr__(self, "box", _checked_box(self.box))
        if self.mask is not None:
            object.__setattr__(self, "mask", _checked_mask(self.mask))

    @classmethod
    def from_points(
        cls, points: Sequence[Sequence[float]], labels: Sequence[int] | None = None
    ) -> Prompts:
        """Points ``(N, 2)`` yx, all positive unless labels say otherwise."""
        checked = _checked_points(points)
        return cls(checked, (1,) * len(checked) if labels is None else tuple(labels))

    @classmethod
    def from_box(cls, box: Sequence[float]) -> Prompts:
        """A box ``(y0, x0, y1, x1)``."""
        return cls(box=_checked_box(box))

    @classmethod
    def from_rectangle(cls, corners: ArrayLike) -> Prompts:
        """The box around a rectangle's corners ``(4, 2)``, which may be rotated or skewed."""
        vertices = _checked_vertices(corners, 2, "rectangle")
        return cls.from_box((*vertices.min(axis=0), *vertices.max(axis=0)))

    @classmethod
    def from_mask(cls, mask: ArrayLike) -> Prompts:
        """A mask ``(H, W)``: every pixel that is not zero belongs to the object."""
        return cls(mask=_checked_mask(mask))

    @classmethod
    def from_ellipse(cls, corners: ArrayLike, frame_shape: tuple[int, int]) -> Prompts:
        """The mask, and its box, of the ellipse in a rectangle that may be rotated or skewed.

        Parameters
        ----------
        corners
            The rectangle's corners ``(4, 2)``, in the order one walks around it.
        frame_shape
            ``(H, W)``. What is outside is cut off.

        Raises
        ------
        PromptError
            If the ellipse covers no pixel of the frame.
        """
        vertices = _checked_vertices(corners, 4, "ellipse")
        return cls._from_shape(ellipse_mask(vertices[:4], frame_shape), "ellipse")

    @classmethod
    def from_polygon(cls, vertices: ArrayLike, frame_shape: tuple[int, int]) -> Prompts:
        """The mask, and its box, of a polygon or a lasso's outline ``(N, 2)``, open or closed.

        Raises
        ------
        PromptError
            If the polygon covers no pixel of the frame.
        """
        outline = _checked_vertices(vertices, 3, "polygon")
        return cls._from_shape(polygon_mask(outline, frame_shape), "polygon")

    @classmethod
    def from_scribble(
        cls, vertices: ArrayLike, label: int = 1, spacing: float = SCRIBBLE_SPACING
    ) -> Prompts:
        """Points evenly along a path ``(N, 2)``, both ends included, at most ``spacing`` apart."""
        path = _checked_vertices(vertices, 1, "scribble")
        if not spacing > 0:
            raise PromptError(f"The spacing is {spacing} pixels. Give one above 0.")
        with np.errstate(over="ignore"):
            steps = np.hypot(*np.diff(path, axis=0).T)
        walked = np.concatenate([[0.0], np.cumsum(steps)])  # length of the path at each vertex
        if not walked[-1] / spacing < MOST_SCRIBBLE_POINTS:
            raise PromptError(
                f"A scribble of {walked[-1]:g} pixels is {walked[-1] / spacing:g} points, more "
                f"than {MOST_SCRIBBLE_POINTS}. Draw it within one frame, or give a wider spacing."
            )
        count = 1 + math.ceil(walked[-1] / spacing)
        stops = np.linspace(0, walked[-1], count)
        points = np.stack([np.interp(stops, walked, path[:, axis]) for axis in (0, 1)], axis=1)
        return cls.from_points(points.tolist(), [label] * count)

    @classmethod
    def _from_shape(cls, mask: NDArray[np.bool_], shape: str) -> Prompts:
        box = mask_to_box(mask)
        if box is None:
            raise PromptError(
                f"This {shape} covers no pixel of the frame. Draw it larger, over the object."
            )
        return cls(box=box, mask=mask)

    def with_point(self, point_yx: Sequence[float], label: int = 1) -> Prompts:
        """One point more."""
        (point,) = _checked_points([point_yx])
        return replace(self, points=(*self.points, point), labels=(*self.labels, label))

    def without_point(self, index: int) -> Prompts:
        """The point at this position taken away."""
        if not 0 <= index < len(self.points):
            raise PromptError(
                f"There is no point {index} among {len(self.points)}. Count them from 0."
            )
        points = self.points[:index] + self.points[index + 1 :]
        return replace(self, points=points, labels=self.labels[:index] + self.labels[index + 1 :])

    def with_box(self, box: Sequence[float] | None) -> Prompts:
        """This box instead of the one there was; ``None`` takes it away."""
        return replace(self, box=None if box is None else _checked_box(box))

    def with_mask(self, mask: ArrayLike | None) -> Prompts:
        """This mask instead of the one there was; ``None`` takes it away."""
        return replace(self, mask=None if mask is None else _checked_mask(mask))

    def within(self, crop: Crop) -> Prompts:
        """The same prompts in pixels of a crop of the frame."""
        top, left, bottom, right = crop
        box = self.box
        return Prompts(
            tuple((y - top, x - left) for y, x in self.points),
            self.labels,
            None if box is None else (box[0] - top, box[1] - left, box[2] - top, box[3] - left),
            None if self.mask is None else self.mask[top:bottom, left:right],
        )

    def __len__(self) -> int:
        """Number of points, box and mask together."""
        return len(self.points) + (self.box is not None) + (self.mask is not None)

    @property
    def n(self) -> int:
        """Number of points, box and mask together."""
        return len(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Prompts):
            return NotImplemented
        same = self.points == other.points and self.labels == other.labels and self.box == other.box
        return same and _same_mask(self.mask, other.mask)

    def __hash__(self) -> int:
        pixels = None if self.mask is None else (self.mask.shape, int(self.mask.sum()))
        return hash((self.points, self.labels, self.box, pixels))

    def fitted(self, frame_shape: tuple[int, int]) -> tuple[Prompts, tuple[str, ...]]:
        """The prompts that can be decoded in a frame ``(H, W)``, and notes on those that cannot.

        Points outside the frame are left out; of points in one pixel the last one counts; a box is
        cut at the frame's border and left out if nothing of it remains, as is an empty mask.

        Raises
        ------
        PromptError
            If the mask has another shape, or no positive point, box or mask remains.
        """
        points, labels, about_points = _fitted_points(self.points, self.labels, frame_shape)
        box, about_box = _fitted_box(self.box, frame_shape)
        mask, about_mask = _fitted_mask(self.mask, frame_shape)
        notes = (*about_points, *about_box, *about_mask)
        if 1 not in labels and box is None and mask is None:
            reason = "Only negative points are left" if labels else "No prompt is left"
            raise PromptError(
                " ".join((*notes, f"{reason}. Click the object itself, or draw a box around it."))
            )
        return Prompts(points, labels, box, mask), notes


def _fitted_points(
    points: tuple[Point, ...], labels: tuple[int, ...], frame_shape: tuple[int, int]
) -> tuple[tuple[Point, ...], tuple[int, ...], list[str]]:
    kept: dict[tuple[int, int], tuple[Point, int]] = {}
    outside = 0
    for point, label in zip(points, labels, strict=True):
        pixel = (round_half_up(point[0]), round_half_up(point[1]))
        if all(0 <= at < size for at, size in zip(pixel, frame_shape, strict=True)):
            kept.pop(pixel, None)
            kept[pixel] = (point, label)
        else:
            outside += 1
    notes = []
    if outside:
        were = "1 point was" if outside == 1 else f"{outside} points were"
        notes.append(f"{were} outside the frame and left out.")
    if len(kept) + outside < len(points):
        notes.append("Of several points in one pixel the last one counts.")
    return tuple(p for p, _ in kept.values()), tuple(label for _, label in kept.values()), notes


def _fitted_box(box: Box | None, frame_shape: tuple[int, int]) -> tuple[Box | None, list[str]]:
    if box is None:
        return None, []
    height, width = frame_shape
    y0, y1 = (min(max(y, -0.5), height - 0.5) for y in (box[0], box[2]))
    x0, x1 = (min(max(x, -0.5), width - 0.5) for x in (box[1], box[3]))
    if y0 == y1 or x0 == x1:
        return None, ["The box has no area inside the frame and was left out."]
    moved = max(abs(new - old) for new, old in zip((y0, x0, y1, x1), box, strict=True))
    notes = ["The box was cut at the frame's border."] if moved > 0.5 else []
    return (y0, x0, y1, x1), notes


def _fitted_mask(
    mask: NDArray[np.bool_] | None, frame_shape: tuple[int, int]
) -> tuple[NDArray[np.bool_] | None, list[str]]:
    if mask is None:
        return None, []
    if mask.shape != tuple(frame_shape):
        raise PromptError(
            f"A mask of {mask.shape[0]} × {mask.shape[1]} pixels does not cover a frame of "
            f"{frame_shape[0]} × {frame_shape[1]}. Give it in the frame's own pixels."
        )
    return (mask, []) if mask.any() else (None, ["The mask is empty and was left out."])


def _is_nothing(given: Any) -> bool:
    """Whether there is nothing to check, as in a million boxes without a point."""
    return isinstance(given, tuple) and not given


def _checked_points(points: Sequence[Sequence[float]]) -> tuple[Point, ...]:
    if not isinstance(points, Iterable):
        raise PromptError(f"Points are a list of pairs y, x; not {points!r}.")
    return tuple((y, x) for y, x in (_numbers(point, 2, "A point", "y, x") for point in points))


def _checked_labels(labels: Sequence[int], n_points: int) -> tuple[int, ...]:
    if len(labels) != n_points:
        raise PromptError(
            f"{len(labels)} labels were given for {n_points} points. Give each point one: "
            "1 for the object, 0 for what does not belong to it."
        )
    if any(label not in (0, 1) for label in labels):
        raise PromptError(
            f"The labels {tuple(labels)} are not all 0 or 1. "
            "Give 1 for the object, 0 for what does not belong to it."
        )
    return tuple(int(label) for label in labels)


def _checked_box(box: Sequence[float]) -> Box:
    y0, x0, y1, x1 = _numbers(box, 4, "A box", "y0, x0, y1, x1")
    return min(y0, y1), min(x0, x1), max(y0, y1), max(x0, x1)


def _checked_mask(mask: ArrayLike) -> NDArray[np.bool_]:
    """The mask as read-only booleans: its own copy, unless nobody could have changed it anyway."""
    pixels = _array(mask, "A mask", "an array (H, W) of true and false")
    if pixels.ndim != 2 or pixels.dtype.kind not in "buif":
        raise PromptError(
            f"A mask is an array (H, W) of true and false, not one of shape {pixels.shape} and "
            f"type {pixels.dtype}. Give the frame's pixels that belong to the object."
        )
    if pixels.dtype != np.bool_ or pixels.flags.writeable:
        pixels = pixels != 0
        pixels.flags.writeable = False
    return pixels


def _checked_vertices(vertices: ArrayLike, at_least: int, shape: str) -> NDArray[np.float64]:
    checked = _array(vertices, f"A {shape}", "points (y, x)", np.float64)
    if checked.ndim != 2 or checked.shape[1] != 2 or not np.isfinite(checked).all():
        raise PromptError(
            f"A {shape} is drawn by finite points (y, x), not by an array of shape {checked.shape} "
            "or with gaps. Draw it again within one frame."
        )
    if len(checked) < at_least:
        raise PromptError(
            f"A {shape} needs at least {at_least} points, this one has {len(checked)}. "
            "Draw it again."
        )
    return checked


def _array(given: ArrayLike, what: str, wanted: str, dtype: Any = None) -> NDArray[Any]:
    try:
        return np.asarray(given, dtype)
    except (TypeError, ValueError) as error:
        raise PromptError(f"{what} is {wanted}; not {type(given).__name__}: {error}.") from error


def _numbers(given: Sequence[float], count: int, what: str, wanted: str) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, given))
    except (TypeError, ValueError, OverflowError):  # or a whole number beyond all floats
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise PromptError(f"{what} is {count} finite numbers, {wanted}; not {given!r}.")
    return numbers


def _same_mask(mask: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    if mask is None or other is None:
        return mask is other
    return mask is other or np.array_equal(mask, other)
