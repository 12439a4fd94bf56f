"""Labels, the annotation of each object in them, and every change as a step of undo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from psygnal import Signal

from napari_sam.engine import (
    FrameIndex,
    FrameStack,
    Prompts,
    SamError,
    checked_object_id,
    decoding,
)

from .annotation import Annotation, Answer, Key, ObjectSummary, Request
from .current import CurrentAnnotations
from .drawing import Drawing
from .edits import LabelEdit, check_fits, frames_of_edit, is_in, region_of, writes
from .history import Change, History, Parents, Reviews
from .label_arrays import (
    UNREADABLE,
    check_labels,
    highest_id_of,
    pieces_of,
    unique_ids,
    why_not_writable,
)
from .object_class import Classes
from .pending import PendingRequests
from .region import Region, Window
from .saved import Saved
from .saved_tiles import TileIndex, is_tiled, tiles_in, window_of

Write: TypeAlias = Callable[[tuple[Any, ...], Any], object]


class AnnotatedLabels:
    """The data of a session and its changes; it does not know how prompts become changes.

    Parameters
    ----------
    stack, labels, write, highest_id
        As in :class:`Session`.

    Raises
    ------
    SamError
        If labels and image have different shapes, or the labels are not integers or cannot be
        written to.
    """

    landed = Signal(tuple)  # objects whose annotations in a frame changed: (object_id, frame)
    relabelled = Signal()  # an operation gave objects other ids, or a step went back or forth
    parents_changed = Signal()
    classes_changed = Signal()
    reviews_changed = Signal()

    def __init__(
        self, stack: FrameStack, labels: Any, write: Write | None, highest_id: int | None
    ) -> None:
        check_labels(labels, stack.shape)
        if write is None and (reason := why_not_writable(labels)):
            raise SamError(f"These labels {reason}. Give a copy in memory: numpy.array(labels).")
        self.stack = stack
        self.labels = labels
        self.write: Write = labels.__setitem__ if write is None else write
        self.widen: Callable[[int], object] | None = None  # has the labels hold a higher id
        self.knows_ids: Callable[[FrameIndex], bool] = lambda frame: False  # all in a frame
        self.writes_alone = False  # then an object is nowhere but where its annotation has it
        self.parents: Parents = {}  # which objects an object came from, by division or fusion
        self.classes = Classes()  # that there are, and which object has which
        self.reviews: Reviews = {}  # the review state of each object that has one
        self.changed: dict[FrameIndex, int] = {}  # frames, and the number of their last change
        self.changed_tiles: dict[FrameIndex, dict[TileIndex, int]] = {}  # the same in huge frames
        self.saved: Saved | None = None  # what of it is on disk
        self._current, self._pending = CurrentAnnotations(), PendingRequests()
        self._history = History()
        self._n_changes = 0
        self._highest = self._highest_in(labels) if highest_id is None else highest_id
        if self._highest:  # labels of others are saved with the first change
            self.changed = dict.fromkeys(stack.indices(), 0)

    # Objects

    def next_id(self, beside: int = 0) -> int:
        """One more than the highest id in the stack, in the prompts, and than ``beside``.

        Ids painted by hand are known through :meth:`note_ids`.
        """
        return max(self.highest_id, beside, self._pending.highest_id) + 1

    def make_room(self, object_id: int) -> None:
        """Have the labels hold an object, in a wider type where that can be.

        Raises
        ------
        SamError
            If the id is not valid, or does not fit.
        """
        if self.widen is not None:
            checked_object_id(object_id)
            self.widen(object_id)
        check_fits(object_id, self.labels)

    def note_ids(self, highest: int) -> None:
        """Learn of ids that someone else wrote into the labels."""
        self._highest = max(self._highest, highest)

    def objects(self) -> list[ObjectSummary]:
        """All objects that were prompted, painted or propagated, by id."""
        return self._current.objects()

    def ids_in(self, frame: FrameIndex) -> tuple[int, ...]:
        """The ids in the labels of a frame, from any source."""
        pieces = (unique_ids(pixels) for _, _, pixels in pieces_of(self.labels, frame))
        return tuple(i for i in sorted(set().union(*pieces)) if i > 0)

    def region(self, object_id: int, frame: FrameIndex) -> Region:
        """The pixels of an object in the labels of a frame as they are now.

        A new object is nowhere yet: no huge frame is searched for it if all ids in it are known.
        """
        if self.knows_ids(frame) and object_id > self.highest_id:
            return Region.empty()
        known = self.current(object_id, frame) if self.writes_alone else None
        within = None if known is None else known.footprint.landed.window
        return region_of(object_id, self.labels, frame, within)

    def frames_of(self, object_id: int) -> list[FrameIndex]:
        """The stack's frames in which the labels hold an object, in order. Reads all labels."""
        frames = self.stack.indices()
        return [f for f in frames if is_in(object_id, self.labels, f)]

    # Requests and annotations

    def current(self, object_id: int, frame: FrameIndex) -> Annotation | None:
        """The current annotation of an object in a frame; ``None`` if there is none."""
        return self._current.get((object_id, frame))

    def annotation(self, object_id: int, frame: FrameIndex) -> Annotation:
        """The annotation of an object in a frame, as it is in the labels."""
        return self.current(object_id, frame) or Annotation()

    def annotations_in(self, frame: FrameIndex) -> list[tuple[int, Annotation]]:
        """The annotations of a frame, by object."""
        return self._current.within(frame)

    def annotations(self) -> Iterator[tuple[Key, Annotation]]:
        """All annotations, object by object."""
        return iter(self._current)

    def prompts(self, object_id: int, frame: FrameIndex) -> Prompts:
        """The prompts last given, decoded or not."""
        return self._newest((object_id, frame)).prompts

    def drawings(self, object_id: int, frame: FrameIndex) -> tuple[Drawing, ...]:
        """The prompts last given, as they were drawn."""
        return self._newest((object_id, frame)).drawings

    def prompted_frames(self, object_id: int) -> set[FrameIndex]:
        """The frames in which an object has prompts, decoded or not."""
        frames = self._pending.frames_of(object_id) | self._current.of(object_id).keys()
        return {frame for frame in frames if self.drawings(object_id, frame)}

    def anchors(self, object_id: int) -> set[FrameIndex]:
        """The frames in which the user prompted, painted, corrected or confirmed an object."""
        current = self._current.of(object_id)
        by_user = {frame for frame, annotation in current.items() if annotation.is_anchor}
        return by_user | self._pending.frames_of(object_id)

    def origins(self, object_id: int) -> set[FrameIndex]:
        """The frames from which an object was propagated and that nothing was propagated to."""
        current = self._current.of(object_id)
        sources = {each.source for each in current.values() if each.source is not None}
        return {f for f in sources if f not in current or current[f].source is None}

    def weakest(self, n: int | None = None) -> list[tuple[int, FrameIndex, float]]:
        """Propagated masks, ``(object, frame, score)``, that first which is worth most to mend.

        That is one of a low score on which the frames after it hang, and these are doubtful, too.
        """
        return self._current.weakest(n)

    def answer(self, object_id: int, frame: FrameIndex) -> Answer | None:
        """The latest answer for an object, with its candidates."""
        return self._pending.answer((object_id, frame))

    def pending(self) -> tuple[Request, ...]:
        """Requests that nobody has answered yet."""
        return self._pending.pending()

    def _newest(self, key: Key) -> Request | Annotation:
        return self._pending.get(key) or self.annotation(*key)

    # What changes, and undo

    def new_run(self) -> int:
        """A number under which many changes are one step of undo."""
        return self._history.new_run()

    @property
    def newest_run(self) -> int:
        """The number of the newest run, to tell later what came after it."""
        return self._history.newest

    def join_steps(self, since: int, object_id: int, action: str) -> int | None:
        """Make what was done to an object since a run one step of undo, if nothing else was.

        Returns its number as of a run, ``None`` if nothing was done.
        """
        return self._history.join(since, object_id, action)

    def accepts(self, run: int) -> bool:
        """Whether a run can go on: it was not undone."""
        return self._history.accepts(run)

    def make(self, change: Change, run: int | None = None) -> None:
        """Make a change: a step of undo, or part of a run's."""
        self.add(change, run)
        self.relabelled.emit()

    def add(self, change: Change, run: int | None = None) -> None:
        """Make a change that gives no object another id."""
        self._pending.forget(change.after)
        self._write(change.edits)
        self._record(change, run)

    @property
    def last_step(self) -> str:
        """The step that :meth:`undo` would undo, in words; "" if there is none."""
        return "" if self._history.last is None else self._history.last.name

    @property
    def next_step(self) -> str:
        """The step that :meth:`redo` would redo, in words; "" if there is none."""
        return "" if self._history.next is None else self._history.next.name

    def undo(self) -> bool:
        """Take back the last step: labels, prompts, objects. ``False`` if there is none."""
        if self._history.last is None:
            return False
        run = self._history.step_back()
        self._replay([change.reverse for change in reversed(run.changes)])
        return True

    def redo(self) -> bool:
        """Do again what was undone last. ``False`` if there is nothing."""
        if self._history.next is None:
            return False
        self._replay(self._history.step_forward().changes)
        return True

    def _replay(self, changes: Sequence[Change]) -> None:
        edits = [edit for change in changes for edit in change.edits]
        self._write(edits)
        after: dict[Key, Annotation | None] = {}
        for change in changes:
            after.update(change.after)
            self._set_common(change)
        self._pending.forget(after)
        self._mark_edits(edits)
        self._set(after)
        self.relabelled.emit()

    @staticmethod
    def _highest_in(labels: Any) -> int:
        with decoding("These labels", UNREADABLE):
            return highest_id_of(labels)

    def _write(self, edits: Sequence[LabelEdit]) -> None:
        for indices, values in writes(edits, self.labels):
            try:
                self.write(indices, values)
            except OSError as error:
                raise SamError(
                    f"The labels could not be written to: {error.strerror or error}. Make room or "
                    "ask for permission, or continue with new labels."
                ) from error

    def _record(self, change: Change, run: int | None = None) -> None:
        change = change.reopening(self.reviews, datetime.now(UTC).isoformat(timespec="seconds"))
        self._history.add(change, self.new_run() if run is None else run)
        self._set_common(change)
        self._mark_edits(change.edits)
        self._set(change.after)

    def _set(self, annotations: Mapping[Key, Annotation | None]) -> None:
        self._mark(frame for _, frame in annotations)
        self._current.put(annotations)
        if annotations:
            self.landed.emit(tuple(annotations))

    def _set_common(self, change: Change) -> None:
        """What is of objects in all their frames."""
        if change.parents_after is not None:
            self._set_parents(change.parents_after)
        if change.classes_after is not None:
            self._set_classes(change.classes_after)
        if change.reviews_after is not None:
            self._set_reviews(change.reviews_after)

    def _set_parents(self, parents: Parents) -> None:
        self.parents = parents
        self._mark(())
        self.parents_changed.emit()

    def _set_classes(self, classes: Classes) -> None:
        self.classes = classes
        self._mark(())
        self.classes_changed.emit()

    def _set_reviews(self, reviews: Reviews) -> None:
        self.reviews = reviews
        self._mark(())
        self.reviews_changed.emit()

    def look_at(self, stack: FrameStack) -> None:
        """Go on with other pixels of the image, or seen otherwise: channels, contrast.

        Raises
        ------
        SamError
            If they are of another shape.
        """
        if stack.shape != self.stack.shape:
            raise SamError(
                f"An image of shape {stack.shape} cannot take the place of one of shape "
                f"{self.stack.shape}. Begin another session."
            )
        before, self.stack = self.stack, stack
        seen = [(each.channels, each.mean, each.fixed_limits) for each in (before, stack)]
        if seen[0] != seen[1]:  # that is saved
            self._mark(())

    def take_labels(self, labels: Any, highest_id: int | None = None) -> None:
        """Go on with other labels of the same shape: nothing before can be undone."""
        self.labels = labels
        self.note_ids(self._highest_in(labels) if highest_id is None else highest_id)
        self._history.clear()
        self._mark(self.stack.indices())
        for frame in self.stack.indices():
            self._mark_tiles(frame)

    # What is to be saved, and what was

    @property
    def n_changes(self) -> int:
        """The number of the last change; :attr:`changed` tells which frames it concerned."""
        return self._n_changes

    @property
    def highest_id(self) -> int:
        """The highest id ever seen in the labels: none up to it is given again."""
        return max(self._highest, self._current.highest_id)

    def restore(
        self,
        annotations: Mapping[Key, Annotation],
        requests: Iterable[Request],
        parents: Parents,
        highest_id: int,
        classes: Classes | None = None,
        reviews: Reviews | None = None,
    ) -> None:
        """Take over what was saved of a session whose labels are here already. Not undoable."""
        self._current.put(annotations)
        for request in requests:
            self._pending.add(request)
        self.parents = parents
        self.classes = Classes() if classes is None else classes
        self.reviews = reviews or {}
        self.note_ids(highest_id)

    def _mark_edits(self, edits: Iterable[LabelEdit]) -> None:
        for edit in filter(None, edits):
            frames = frames_of_edit(edit, self.stack.displayed)
            self._mark(frames)
            for frame in frames:
                self._mark_tiles(frame, edit.changed.window if frame == edit.frame else None)

    def _mark_tiles(self, frame: FrameIndex, window: Window | None = None) -> None:
        """Labels changed in a window of a frame, or anywhere in it."""
        frame_shape = self.stack.frame_shape_of(frame)
        if is_tiled(frame_shape):
            tiles = self.changed_tiles.setdefault(frame, {})
            for tile in tiles_in(window or window_of(None, frame_shape)):
                tiles[tile] = self._n_changes

    def _mark(self, frames: Iterable[FrameIndex]) -> None:
        self._n_changes += 1
        for frame in frames:
            self.changed[frame] = self._n_changes
