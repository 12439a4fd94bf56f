"""One search for objects: what was found in which frame, what was decided, what was chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.engine import (
    AutomaticOptions,
    Dropped,
    FoundObject,
    FrameIndex,
    FrameStack,
    Pace,
    PlacedMask,
    SamError,
)
from napari_sam.engine import Outline as Vertices
from napari_sam.engine.masks import polygon_mask
from napari_sam.plugin.panels.automatic import PageOptions
from napari_sam.plugin.work.automatic import Decision, ExampleObjects, Likeness, Proposals
from napari_sam.session import FrameLabels, Session, unconfirmed_in

if TYPE_CHECKING:
    from napari_sam.engine import Examples

NOTHING = "Nothing was found. Lower the score, try another method, or click the objects by hand."
NONE_PASSES = "No object passes the filters: lower them."
NO_EXAMPLE = (
    "There is no example. Segment one to three objects by clicks, select them in the list of "
    "objects, and press “Find alike”."
)
NONE_NEW = "No new object passes the filters."


@dataclass(eq=False)
class Run:
    """What was looked for, what was found, and what was decided of it."""

    session: Session
    stack: FrameStack
    options: PageOptions
    model: str
    frames: tuple[FrameIndex, ...]
    axis: int | None  # that the frames lie along, if they are several
    pace: Pace = field(default_factory=Pace)
    is_over: bool = False  # no more frames come
    proposals: dict[FrameIndex, Proposals] = field(default_factory=dict)
    decided: dict[FrameIndex, Proposals] = field(default_factory=dict)
    chosen: dict[FrameIndex, set[int]] = field(default_factory=dict)  # positions
    likeness: dict[FrameIndex, Likeness] = field(default_factory=dict)  # where there are examples
    unlike: dict[FrameIndex, set[int]] = field(default_factory=dict)  # positions of those removed
    taken: list[tuple[int, FrameIndex, set[int]]] = field(default_factory=list)
    """Positions that were accepted, with the step of undo."""
    accepted: int | None = None  # the step of undo in which all that stood landed
    _counts: Counter[Dropped | None] = field(default_factory=Counter)  # of what was decided

    @property
    def is_accepted(self) -> bool:
        """Whether all landed, and that was not undone."""
        return self.accepted is not None and self.session.accepts(self.accepted)

    @property
    def n_chosen(self) -> int:
        """How many were chosen, and pass the filters."""
        return sum(
            not self.decided[frame][n].dropped
            for frame, chosen in self.chosen.items()
            for n in chosen
        )

    @property
    def progress(self) -> str:
        """How many frames are done, in a sentence."""
        n, m = len(self.proposals), len(self.frames)
        return f"Searched {n} of {m} frames." if m > 1 else "Searched the frame."

    @property
    def summary(self) -> str:
        """How many stand, and why others do not."""
        if self.is_accepted:
            return ""
        counts = +self._counts
        del counts["in another tile"]  # it is counted there
        n, n_dropped = counts.pop(None, 0), counts.total()
        if not n and not n_dropped:
            return NOTHING if self.is_over and self.decided else ""
        m = len(self.decided)
        where = f" in {m} frame{'s' * (m != 1)}" if len(self.frames) > 1 else ""
        found = f"{n} object{'s' * (n != 1)} found{where}."
        none = NONE_NEW if counts["annotated already"] else NONE_PASSES
        sentence = found if n else none
        if n_dropped:
            reasons = (f"{count} {reason}" for reason, count in counts.most_common())
            sentence += f" Dropped: {', '.join(reasons)}."
        return sentence

    def note(self, frame: FrameIndex, decided: Proposals) -> None:
        """Keep what was decided of a frame; the others are not counted again."""
        self._counts.subtract(each.dropped for each in self.decided.get(frame, ()))
        self._counts.update(each.dropped for each in decided)
        self.decided[frame] = decided

    def decision(self, frame: FrameIndex, chosen: Collection[int] | None) -> Decision:
        """What is to be decided on in a frame; of ``chosen`` as :class:`Decision` has it."""
        replaced = unconfirmed_in(self.session, frame) if self.options.replaces else ()
        return Decision(
            self.proposals[frame],
            self.options.wanted,
            frame,
            self.session.stack.frame_shape_of(frame),
            self.session.labels,
            tuple(replaced),
            None if chosen is None else tuple(chosen),
            self.likeness.get(frame),
        )

    def answers(self, other: Run) -> bool:
        """Whether what another run would look for was found already, like any examples."""
        return (
            self.is_over
            and set(self.likeness) == set(other.frames)
            and self.stack is other.stack
            and self.model == other.model
            and self.options.within == other.options.within
        )

    def note_taken(self, number: int, *, only_chosen: bool) -> None:
        """Remember what was accepted in a step of undo."""
        for frame, found in self.decided.items():
            standing = {n for n, each in enumerate(found) if not each.dropped}
            chosen = self.chosen.get(frame, set()) if only_chosen else standing
            self.taken.append((number, frame, standing & chosen))

    def note_deleted(self) -> None:
        """Objects that were accepted, and deleted since, are no such objects."""
        for number, frame, taken in self.taken:
            if self.session.accepts(number):
                labels = FrameLabels(self.session.labels, frame)
                proposals = self.proposals[frame]
                gone = {n for n in taken if _is_free(proposals[n], labels)}
                self.unlike.setdefault(frame, set()).update(gone)

    def compare_with(self, examples: Examples) -> None:
        """Compare what was found with examples, and with what was removed as no such object."""
        removed = [self.likeness[frame].looks[sorted(n)] for frame, n in self.unlike.items()]
        against = examples.but_not(np.concatenate([examples.unlike[:0], *removed]))
        for frame, each in self.likeness.items():
            self.likeness[frame] = replace(each, examples=against)

    def remove_chosen(self) -> None:
        """Take what was chosen for what is no such object."""
        for frame, chosen in self.chosen.items():
            self.unlike.setdefault(frame, set()).update(chosen)
        self.chosen.clear()
        for each in list(self.likeness.values())[:1]:
            self.compare_with(each.examples)

    def choose_at(self, frame: FrameIndex, point_yx: tuple[float, float]) -> bool:
        """Choose what stands at a point, or let go of it; ``False`` if nothing does."""
        found = self.decided.get(frame, ())
        there = [n for n, each in enumerate(found) if not each.dropped and _covers(each, point_yx)]
        if not there:
            return False
        best = max(there, key=lambda n: found[n].score)
        self.chosen.setdefault(frame, set()).symmetric_difference_update({best})
        return True

    def choose_within(self, frame: FrameIndex, outline: Vertices) -> None:
        """Choose what stands with more than half of its pixels in an outline, and no other.

        Raises
        ------
        SamError
            If the outline has no area.
        """
        AutomaticOptions(within=outline)
        mask = polygon_mask(np.array(outline), self.session.stack.frame_shape_of(frame))
        self.chosen = {
            frame: {
                n
                for n, each in enumerate(self.decided.get(frame, ()))
                if not each.dropped
                and 2 * np.count_nonzero(mask[each.where] & each.mask) > each.area
            }
        }


def frames_along(
    shape: Sequence[int], frame: FrameIndex, axis: int | None, options: PageOptions
) -> Iterator[FrameIndex]:
    """The frames of a stack along an axis, from the first to the last that the page says.

    Raises
    ------
    SamError
        If there is no such axis, or no such frame.
    """
    if axis is None or frame[axis] is None:
        raise SamError("The axis to go along spans the frame shown. Choose another one.")
    n = shape[axis]
    first, last = options.first_frame or 0, options.last_frame
    last = n - 1 if last is None else min(last, n - 1)
    if first > last:
        raise SamError(f"There is no frame {first} among {n}. Give a first frame below {n}.")
    for position in range(first, last + 1):
        yield (*frame[:axis], position, *frame[axis + 1 :])


def examples_chosen(
    session: Session, object_ids: Sequence[int], shown: FrameIndex
) -> ExampleObjects:
    """Objects as examples, each in the frame shown, or else in the first that holds it.

    Raises
    ------
    SamError
        If none has a pixel.
    """
    masks: dict[FrameIndex, list[PlacedMask]] = {}
    frames = {each.object_id: each.frames for each in session.objects()}
    for object_id in object_ids:
        for frame in dict.fromkeys((shown, *frames.get(object_id, ()))):
            if region := session.region(object_id, frame):
                masks.setdefault(frame, []).append((region.window, region.pixels))
                break
    if not masks:
        raise SamError(NO_EXAMPLE)
    return ExampleObjects(session.stack, masks)


def _is_free(found: FoundObject, labels: FrameLabels) -> bool:
    """Whether most of its pixels are nobody's."""
    return bool(2 * np.count_nonzero(labels[found.where][found.mask]) < found.area)


def _covers(found: FoundObject, point_yx: tuple[float, float]) -> bool:
    y0, x0, y1, x1 = found.window
    y, x = (int(np.floor(at + 0.5)) for at in point_yx)
    return y0 <= y < y1 and x0 <= x < x1 and bool(found.mask[y - y0, x - x0])
