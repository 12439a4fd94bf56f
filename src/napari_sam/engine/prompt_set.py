"""Many prompts as one frozen value, wherever they come from: files, layers, labels, a detector.

What reads them yields an :class:`ObjectPrompts` for each object in a frame, and a :class:`LeftOut`
for what is no prompt; :meth:`PromptSet.of` gives numbers to those that have none.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .axes import positions_of
from .choices import Shape
from .errors import PromptError
from .frames import FrameIndex, FrameStack
from .left_out import LeftOut, sentences_of
from .masks import interior_point, windows_of
from .prompts import Prompts

NO_PIXEL = "it covers no pixel of the image"
OUTSIDE = "outside the image"
TWICE = "an object before it has the same number in this frame. Give each its own"
NO_PROMPTS = Prompts()
MOSTLY = 0.5  # of all, outside the image: then something is wrong with all of them


@dataclass(frozen=True, eq=False)
class ObjectPrompts:
    """The prompts of one object in one frame, and what its source says of it."""

    prompts: Prompts = NO_PROMPTS  # points and box; a mask of the whole frame would take too much
    mask: NDArray[np.bool_] | None = None  # its pixels, from the corner on
    corner: tuple[int, int] = (0, 0)  # y and x of the mask's first pixel in the frame
    object_id: int = 0  # 0: it has none of its own
    at: tuple[int, ...] | None = None  # the frame, on the leading axes; None: the one in question
    class_name: str = ""
    score: float | None = None
    where: str = ""  # its place in the source: "line 3"
    notes: tuple[str, ...] = ()  # what of its prompts was left out or changed

    @classmethod
    def of_mask(cls, mask: NDArray[np.bool_], top: int = 0, left: int = 0, **known: Any) -> Self:
        """An object whose pixels are known, ``(h, w)`` from ``(top, left)`` on; cropped to them.

        Raises
        ------
        PromptError
            If it has no pixel.
        """
        rows = np.flatnonzero(mask.any(axis=1))
        if not len(rows):
            raise PromptError(NO_PIXEL)
        y0, y1 = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(mask[y0:y1].any(axis=0))
        x0, x1 = int(columns[0]), int(columns[-1]) + 1
        pixels = mask[y0:y1, x0:x1].copy()
        return cls(mask=pixels, corner=(top + y0, left + x0), **known)

    @classmethod
    def of_box(cls, box: Sequence[float], **known: Any) -> Self:
        """An object in a box ``y0, x0, y1, x1``."""
        return cls(Prompts.from_box(box), **known)

    @classmethod
    def of(cls, prompts: Prompts, **known: Any) -> Self:
        """Prompts as they are used for one object."""
        if prompts.mask is None:
            return cls(prompts, **known)
        return cls.of_mask(prompts.mask, prompts=prompts.with_mask(None), **known)

    def shown_as(self, shape: Shape) -> ObjectPrompts:
        """The same object by its mask, the box around it, or the point deepest in it."""
        if self.mask is None or shape == "mask":
            return self
        top, left = self.corner
        if shape == "box":
            height, width = self.mask.shape
            box = (top - 0.5, left - 0.5, top + height - 0.5, left + width - 0.5)
            return replace(self, mask=None, prompts=self.prompts.with_box(box))
        y, x = interior_point(self.mask) or (0.0, 0.0)
        return replace(self, mask=None, prompts=self.prompts.with_point((y + top, x + left)))

    def in_frame(self, frame_shape: tuple[int, int]) -> Prompts:
        """All its prompts, the mask as large as the frame and with the box around it."""
        if self.mask is None:
            return self.prompts
        whole = np.zeros(frame_shape, bool)
        (top, left), (height, width) = self.corner, self.mask.shape
        whole[top : top + height, left : left + width] = self.mask
        whole.flags.writeable = False  # so that it need not be copied
        boxed = self.prompts if self.prompts.box is not None else self.shown_as("box").prompts
        return boxed.with_mask(whole)

    def fitted(self, frame_shape: tuple[int, int]) -> ObjectPrompts:
        """The same as far as it is in a frame.

        Raises
        ------
        PromptError
            If nothing of it is.
        """
        if self.mask is None:
            if _is_outside(self.prompts, frame_shape):
                raise PromptError(OUTSIDE)
            prompts, notes = self.prompts.fitted(frame_shape)
            return replace(self, prompts=prompts, notes=(*self.notes, *notes))
        (top, left), (height, width) = self.corner, self.mask.shape
        if (
            min(top, left) >= 0
            and top + height <= frame_shape[0]
            and left + width <= frame_shape[1]
        ):
            return self
        y0, x0 = max(0, -top), max(0, -left)
        part = self.mask[y0 : max(0, frame_shape[0] - top), x0 : max(0, frame_shape[1] - left)]
        if not part.any():
            raise PromptError(OUTSIDE)
        notes = (*self.notes, "Its mask was cut at the frame's border.")
        return replace(self, mask=part, corner=(top + y0, left + x0), notes=notes)


@dataclass(frozen=True, eq=False)
class PromptSet:
    """The prompts of many objects and frames; made by :meth:`of`."""

    objects: tuple[ObjectPrompts, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    source: str = ""  # "cells.csv"
    hint: str = ""  # what may be wrong with all of them, in a sentence

    @classmethod
    def of(cls, found: Iterable[ObjectPrompts | LeftOut], source: str = "") -> Self:
        """Prompts in their order; those without a number get the next that is free.

        Of two with the same number in one frame the second is left out.
        """
        objects: list[ObjectPrompts] = []
        left_out: list[LeftOut] = []
        seen: set[tuple[int, tuple[int, ...] | None]] = set()
        for each in found:
            if isinstance(each, LeftOut):
                left_out.append(each)
            elif each.object_id and (each.object_id, each.at) in seen:
                left_out.append(LeftOut(each.where, TWICE))
            else:
                seen.add((each.object_id, each.at))
                objects.append(each)
        free = _free_numbers({each.object_id for each in objects})
        numbered = (e if e.object_id else replace(e, object_id=next(free)) for e in objects)
        return cls(tuple(numbered), tuple(left_out), source)

    def __len__(self) -> int:
        return len(self.objects)

    @property
    def classes(self) -> dict[int, str]:
        """The class of each object that has one."""
        return {each.object_id: each.class_name for each in self.objects if each.class_name}

    @property
    def highest_id(self) -> int:
        """The highest number of an object; 0 without any."""
        return max((each.object_id for each in self.objects), default=0)

    def joined(self, other: PromptSet) -> PromptSet:
        """Both; objects of the other get new numbers where theirs are taken."""
        others = other.beside({each.object_id for each in self.objects})
        return replace(
            self,
            objects=self.objects + others.objects,
            left_out=self.left_out + others.left_out,
            hint=self.hint or others.hint,
        )

    def at_least(self, score: float) -> PromptSet:
        """Only objects with such a score, or without any: no detector needs to run again."""
        return self.with_objects(e for e in self.objects if e.score is None or e.score >= score)

    def shown_as(self, shape: Shape) -> PromptSet:
        """Objects whose pixels are known by their masks, boxes or interior points."""
        return self.with_objects(each.shown_as(shape) for each in self.objects)

    def in_frames(self, frames: Iterable[FrameIndex]) -> PromptSet:
        """Those of some frames only, once fitted."""
        wanted = {positions_of(frame) for frame in frames}
        return self.with_objects(each for each in self.objects if each.at in wanted)

    def beside(self, taken: Collection[int]) -> PromptSet:
        """The same; objects whose number is taken get the next free one, in all their frames."""
        mine = {each.object_id for each in self.objects}
        free = _free_numbers(mine.union(taken))
        new = {i: next(free) for i in sorted(mine.intersection(taken))}
        return self.with_objects(
            replace(e, object_id=new[e.object_id]) if e.object_id in new else e
            for e in self.objects
        )

    def fitted(self, stack: FrameStack, frame: FrameIndex | None = None) -> PromptSet:
        """What can be decoded in an image; all else is left out, and named.

        Parameters
        ----------
        frame
            Of prompts that do not say theirs; by default the first.
        """
        kept: list[ObjectPrompts] = []
        left_out = list(self.left_out)
        outside: list[ObjectPrompts] = []
        shown = next(iter(stack.indices())) if frame is None else frame
        default = positions_of(shown)
        for each in self.objects:
            is_single = not default and not any(each.at or ())  # frame 0 of an image without frames
            at = default if each.at is None or is_single else each.at
            try:
                shape = stack.frame_shape_of(_index(stack, at))
                kept.append(replace(each.fitted(shape), at=at))
            except PromptError as error:
                left_out.append(LeftOut(each.where, str(error)))
                outside += [each] * (str(error) == OUTSIDE)
        hint = self.hint or _hint(outside, len(self.objects), stack.frame_shape)
        return replace(self, objects=tuple(kept), left_out=tuple(left_out), hint=hint)

    @property
    def summary(self) -> str:
        """How many of what kind: "12 objects in 2 frames: 10 boxes, 2 masks"."""
        kinds = Counter(kind for each in self.objects for kind in _kinds(each))
        said = ", ".join(_counted(n, kind) for kind, n in kinds.items())
        n_frames = len({each.at for each in self.objects})
        objects = _counted(len({each.object_id for each in self.objects}), "object")
        frames = f" in {n_frames} frames" if n_frames > 1 else ""
        return f"{objects}{frames}" + (f": {said}" if said else "")

    @property
    def problems(self) -> tuple[str, ...]:
        """What was left out, a sentence a reason, and what may be wrong with all of it."""
        prefix = f"{self.source}: " if self.source else ""
        said = sentences_of(self.left_out, self.source)
        return (*said, *([prefix + self.hint] if self.hint else []))

    def with_objects(self, objects: Iterable[ObjectPrompts]) -> PromptSet:
        """The same with other objects."""
        return replace(self, objects=tuple(objects))


def prompts_of_labels(
    labels: Any, stack: FrameStack, shape: Shape = "mask", source: str = ""
) -> PromptSet:
    """Each object of another tool's labels, in each frame, as prompts with its number.

    Parameters
    ----------
    labels
        Ids of the image's shape, read frame by frame; or ``(H, W)`` of the frame in question.
    shape
        What each object is prompted by: its mask, the box around it, or the point deepest in it.

    Raises
    ------
    PromptError
        If they are of an image of another size.
    """
    from .images import as_ids  # it brings zarr, and the window opens without it

    given = tuple(labels.shape)
    is_frame = len(given) == 2 < stack.ndim
    if given != (stack.frame_shape if is_frame else stack.shape):
        raise PromptError(
            f"{source or 'These labels'}: labels of shape {given} do not fit an image of shape "
            f"{stack.shape}. Give those of this image, or of one frame of it."
        )
    frames = [None] if given == stack.frame_shape else list(np.ndindex(given[:-2]))

    def objects() -> Iterator[ObjectPrompts]:
        for at in frames:
            pixels = as_ids(labels[at or ...])
            for object_id, (rows, columns) in windows_of(pixels).items():
                mask = pixels[rows, columns] == object_id
                known: dict[str, Any] = {"object_id": object_id, "at": at}
                each = ObjectPrompts.of_mask(mask, rows.start, columns.start, **known)
                where = f"object {object_id}" + (f" of frame {at}" if at else "")
                yield replace(each.shown_as(shape), where=where)

    return PromptSet.of(objects(), source)


def _free_numbers(taken: Collection[int]) -> Iterator[int]:
    return (n for n in itertools.count(1) if n not in taken)


def _index(stack: FrameStack, at: tuple[int, ...]) -> FrameIndex:
    sizes = [n for axis, n in enumerate(stack.shape) if axis not in stack.displayed]
    if len(at) != len(sizes):
        raise PromptError(
            f"it names {_counted(len(at), 'frame axis')}, the image has {len(sizes)}. Name the "
            "frame by one number for each axis besides y and x"
        )
    if any(not 0 <= position < size for position, size in zip(at, sizes, strict=True)):
        raise PromptError(
            f"the image has no such frame: it has {' × '.join(map(str, sizes))}, counted from 0"
        )
    return stack.index(*at)


def _is_outside(prompts: Prompts, frame_shape: tuple[int, int]) -> bool:
    """Whether all points are outside a frame, and the box has no pixel in it."""
    height, width = frame_shape
    box = prompts.box
    boxed = box and box[0] < height - 0.5 and box[1] < width - 0.5 and min(box[2:]) > -0.5
    clicked = any(-0.5 <= y < height - 0.5 and -0.5 <= x < width - 0.5 for y, x in prompts.points)
    return bool(prompts) and not (boxed or clicked)


def _hint(outside: Sequence[ObjectPrompts], n_all: int, frame_shape: tuple[int, int]) -> str:
    """Where most are outside: whether they would be inside with y and x exchanged."""
    if len(outside) <= MOSTLY * n_all:
        return ""
    exchanged = (frame_shape[1], frame_shape[0])
    inside = sum(e.mask is None and not _is_outside(e.prompts, exchanged) for e in outside)
    if inside <= MOSTLY * len(outside):
        return "Most are outside the image. Were they made on another image, or in other units?"
    return (
        "Most are outside the image, but would be inside with y and x exchanged. Is the order of "
        "the axes wrong? Here it is y, x: row first."
    )


def _kinds(each: ObjectPrompts) -> Iterator[str]:
    if each.mask is not None:
        yield "mask"
    if each.prompts.box is not None:
        yield "box"
    yield from itertools.repeat("point", len(each.prompts.points))


def _counted(n: int, name: str) -> str:
    plurals = {"box": "boxes", "frame axis": "frame axes"}
    return f"{n} {name if n == 1 else plurals.get(name, name + 's')}"
