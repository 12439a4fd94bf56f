"""Undo and redo: a run is one step, even if other steps came between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from napari_sam.engine import Review

from .annotation import Annotation, Key, names_of
from .edits import LabelEdit
from .object_class import Classes

Parents: TypeAlias = Mapping[int, tuple[int, ...]]  # an object → those it came from
Reviews: TypeAlias = Mapping[int, Review]  # by object
DELETION = "deletion"  # an action
BYTES_KEPT = 512 * 2**20  # of changes that can be undone; the oldest are forgotten first
BYTES_A_CHANGE = 2**10  # beside its pixels
BYTES_A_CLASS = 2**7  # or review that an object has


@dataclass(frozen=True, eq=False)
class Change:
    """Pixels, annotations, parents, classes, reviews, as they were and are; made all at once."""

    edits: tuple[LabelEdit, ...]
    before: Mapping[Key, Annotation | None]
    after: Mapping[Key, Annotation | None]
    parents_before: Parents | None = None  # None: they did not change
    parents_after: Parents | None = None
    action: str = "change"  # name of the change for the user
    classes_before: Classes | None = None  # None: they did not change
    classes_after: Classes | None = None
    reviews_before: Reviews | None = None  # None: they did not change
    reviews_after: Reviews | None = None
    keeps_masks: bool = False  # whether objects only get other ids, in all their frames

    def reopening(self, reviews: Reviews, at: str) -> Change:
        """The same, and what was approved is to be checked again where its mask changes.

        Parameters
        ----------
        reviews
            As they are before it.
        at
            When it is made, in ISO 8601.
        """
        after = reviews if self.reviews_after is None else self.reviews_after
        approved = {i for i, each in after.items() if each.state == "approved"}
        if self.keeps_masks or not approved:
            return self
        parts = (part for edit in self.edits for part in (edit.before, edit.values))
        changed = approved.intersection(i for part in parts for i in np.unique(part).tolist())
        if not changed:
            return self
        after = {**after, **{i: after[i].reopened(at) for i in changed}}
        return replace(self, reviews_before=reviews, reviews_after=after)

    @property
    def nbytes(self) -> int:
        """About how many bytes it takes to remember it."""
        classed = 0 if self.classes_after is None else len(self.classes_after.given)
        pixels = sum(edit.nbytes for edit in self.edits)
        reviewed = len(self.reviews_after or ())
        return BYTES_A_CHANGE + BYTES_A_CLASS * (classed + reviewed) + pixels

    @property
    def concerned(self) -> set[Key]:
        """The objects it concerns, in each frame."""
        if self.after:
            return set(self.after)
        return {
            (int(object_id), edit.frame)
            for edit in self.edits
            for object_id in np.unique(np.concatenate([edit.before, edit.values]))
            if object_id
        }

    @property
    def reverse(self) -> Change:
        """The change that takes this one back."""
        return Change(
            tuple(edit.reverse for edit in reversed(self.edits)),
            self.after,
            self.before,
            self.parents_after,
            self.parents_before,
            self.action,
            self.classes_after,
            self.classes_before,
            self.reviews_after,
            self.reviews_before,
            self.keeps_masks,
        )

    def is_apart_from(self, other: Change) -> bool:
        """Whether the two could have been made in the other order with the same outcome."""
        if self.before.keys() & other.before.keys():
            return False
        if self.parents_after is not None and other.parents_after is not None:
            return False
        if self.classes_after is not None and other.classes_after is not None:
            return False
        if self.reviews_after is not None and other.reviews_after is not None:
            return False
        return not any(_collide(edit, its) for edit in self.edits for its in other.edits)


@dataclass(eq=False)
class Run:
    """Changes that are undone together, in the order they were made."""

    number: int
    changes: list[Change] = field(default_factory=list)
    action: str = ""  # what it was as a whole, if not what the last change was

    @property
    def nbytes(self) -> int:
        """About how many bytes it takes to remember it."""
        return sum(change.nbytes for change in self.changes)

    @property
    def deleted(self) -> list[int]:
        """The objects that it deleted, if that is what it was."""
        deletions = [change for change in self.changes if change.action == DELETION]
        return sorted({object_id for change in deletions for object_id, _ in change.concerned})

    @property
    def name(self) -> str:
        """Name of the step: "prompt of object 3", "propagation of object 1 over 12 frames"."""
        keys = {key for change in self.changes for key in change.concerned}
        ids, frames = {object_id for object_id, _ in keys}, {frame for _, frame in keys}
        whose = f" of {names_of(sorted(ids))}" if ids else ""
        where = f" over {len(frames)} frames" if len(frames) > 1 else ""
        return f"{self.action or self.changes[-1].action}{whose}{where}"


class History:
    """Undo and redo; a run is one step."""

    def __init__(self, bytes_kept: int = BYTES_KEPT) -> None:
        self.bytes_kept = bytes_kept
        self._done: list[Run] = []
        self._undone: list[Run] = []
        self._nbytes = 0
        self._newest = 0
        self._closed: set[int] = set()  # runs taken back: what comes late of them is refused

    def new_run(self) -> int:
        """A number under which many changes are one step."""
        self._newest += 1
        return self._newest

    @property
    def newest(self) -> int:
        """The number of the newest run."""
        return self._newest

    def join(self, since: int, object_id: int, action: str) -> int | None:
        """Make the last steps one, as far as they are newer than a run and concern one object.

        Returns the number of that step, for more to join it; ``None`` if there is none.
        """
        own: list[Run] = []
        for run in reversed(self._done):
            ids = {each for change in run.changes for each, _ in change.concerned}
            if run.number <= since or ids != {object_id}:
                break
            own.insert(0, run)
        if not own:
            return None
        first, *others = own
        for run in others:
            first.changes += run.changes
            self._done.remove(run)
        first.action = action
        return first.number

    def accepts(self, run: int) -> bool:
        """Whether changes can still be added to a run: it was not undone."""
        return run not in self._closed

    def add(self, change: Change, run: int) -> None:
        """Remember a change that was made just now. What was undone cannot be redone any more.

        It also joins its run if there were other changes since, if the two do not touch:
        the user's click during a long propagation is undone first, and by itself.
        """
        self._nbytes += change.nbytes - sum(run.nbytes for run in self._undone)
        self._undone.clear()
        for earlier in reversed(self._done):
            if earlier.number == run:
                earlier.changes.append(change)
                break
            if not all(change.is_apart_from(each) for each in earlier.changes):
                self._done.append(Run(run, [change]))
                break
        else:
            self._done.append(Run(run, [change]))
        while len(self._done) > 1 and self._nbytes > self.bytes_kept:
            self._nbytes -= self._done.pop(0).nbytes

    @property
    def last(self) -> Run | None:
        """The step that :meth:`step_back` would take."""
        return self._done[-1] if self._done else None

    @property
    def next(self) -> Run | None:
        """The step that :meth:`step_forward` would take."""
        return self._undone[-1] if self._undone else None

    def step_back(self) -> Run:
        """Move the last run to those that can be redone; its changes are to be reversed."""
        run = self._done.pop()
        self._undone.append(run)
        self._closed.add(run.number)
        return run

    def step_forward(self) -> Run:
        """Move the run undone last back; its changes are to be made again."""
        run = self._undone.pop()
        self._done.append(run)
        self._closed.discard(run.number)
        return run

    def clear(self) -> None:
        """Forget everything: the labels are others now."""
        self._done.clear()
        self._undone.clear()
        self._nbytes = 0


def _collide(edit: LabelEdit, other: LabelEdit) -> bool:
    """Whether two edits may have a pixel in common; frames of other orientations cross."""
    if edit.frame == other.frame:
        return bool(edit.changed.common(other.changed))
    crosses = [(i is None) != (j is None) for i, j in zip(edit.frame, other.frame, strict=True)]
    return any(crosses)
