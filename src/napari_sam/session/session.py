"""Prompts per object and frame become labels: what was asked, what came back, what landed, undo.

A prompt edit becomes a :class:`Request`; whoever has a predictor turns it into an :class:`Answer`
with :func:`decode`, now or later, in this thread or another; :meth:`Session.land` writes the
answer unless a newer request has overtaken it. The session itself runs no network and starts no
thread.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from psygnal import Signal

from napari_sam.engine import FrameIndex, FrameStack, PromptError, Prompts, SamError

if TYPE_CHECKING:
    from napari_sam.engine import EmbeddingCache, Prediction, Predictor

    from .propagation import Carried
    from .storage import Saved

from .annotation import (
    Annotation,
    Answer,
    Key,
    ObjectSummary,
    Request,
    as_found,
    decode,
)
from .drawing import Drawing, drawings_of, on_base, prompts_from
from .edits import (
    Footprint,
    LabelEdit,
    Region,
    edits_of_stroke,
    mask_to_edit,
    read_frame,
    region_of,
    writes,
)
from .history import Change, History, Parents

Write: TypeAlias = Callable[[tuple[Any, ...], Any], object]

ENOUGH_OBJECTS = 3  # segmented before their size says what size to expect
OBJECTS_REMEMBERED = 64  # so that a session goes along from small cells to large ones
ANSWERS_KEPT = 16  # candidates to choose from again; up to 4 MB each


class Session:
    """The annotation of one image: its objects, their prompts, and the labels they land in.

    Parameters
    ----------
    stack
        The image.
    labels
        Array of the image's shape without its colour axis, indexed to read. Ids found in it are
        kept.
    write
        Called as ``write(indices, values)`` to change labels: ``labels.__setitem__`` (the
        default) or napari's ``layer.data_setitem``.
    protect_neighbours
        Whether pixels of other objects stay theirs.
    highest_id
        The highest id in the labels, where it is known; else they are read once, plane by plane.

    Raises
    ------
    SamError
        If labels and image have different shapes, or the labels are not integers.
    """

    wanted = Signal(Request)  # a mask is to be decoded
    landed = Signal(int, tuple)  # an object's annotation in a frame changed: (object_id, frame)
    parents_changed = Signal()
    active_changed = Signal(int)
    explained = Signal(str)  # what of the prompts could not be used, and why

    def __init__(
        self,
        stack: FrameStack,
        labels: Any,
        write: Write | None = None,
        *,
        protect_neighbours: bool = True,
        highest_id: int | None = None,
    ) -> None:
        if tuple(labels.shape) != tuple(stack.shape):
            raise SamError(
                f"These labels have the shape {tuple(labels.shape)}, the image "
                f"{tuple(stack.shape)}. Choose labels of the image's own shape, or new ones."
            )
        if np.dtype(labels.dtype).kind not in "iu":
            raise SamError(
                f"Labels are integers, not {labels.dtype}. Convert them to uint16 or uint32."
            )
        self.stack = stack
        self.labels = labels
        self.cell_diameter: float | None = None  # in pixels, where the user says so
        self.learns_diameter = False  # else from the objects segmented lately
        self.protect_neighbours = protect_neighbours
        self.write: Write = labels.__setitem__ if write is None else write
        self.parents: Parents = {}  # which objects an object came from, by division or fusion
        self.changed: dict[FrameIndex, int] = {}  # frames, and the number of their last change
        self.saved: Saved | None = None  # what of it is on disk
        self.notices: list[str] = []  # what to tell the user about a session that was opened
        self.models: dict[str, tuple[str, str]] = {}  # their hash and precision, by name
        self._annotations: dict[int, dict[FrameIndex, Annotation]] = {}
        self._summaries: dict[int, ObjectSummary] = {}
        self._requests: dict[Key, Request] = {}
        self._answers: OrderedDict[Key, Answer] = OrderedDict()
        self._diameters: OrderedDict[Key, float] = OrderedDict()
        self._history = History()
        self._n_changes = 0
        self._generation = 0
        self._highest = _highest_id(labels) if highest_id is None else highest_id
        self._active = self._highest + 1
        if self._highest:  # labels of others are saved with the first change
            self.changed = dict.fromkeys(stack.indices(), 0)

    # Objects

    @property
    def active(self) -> int:
        """The id that prompts go to."""
        return self._active

    def select(self, object_id: int) -> None:
        """Make an object, new or old, the one that prompts go to."""
        if object_id < 1:
            raise SamError(f"Object ids start at 1, not {object_id}.")
        if object_id != self._active:
            self._active = object_id
            self.active_changed.emit(object_id)

    def new_object(self) -> int:
        """Select a new object: one more than the highest id in the whole stack."""
        self.select(self.next_id())
        return self._active

    def next_id(self, beside: int = 0) -> int:
        """One more than the highest id in the stack, in the prompts, and than ``beside``.

        Ids painted by hand are known through :meth:`note_ids`.
        """
        asked = (object_id for object_id, _ in self._requests)
        return max(self._highest, beside, *self._annotations, *asked, 0) + 1

    def note_ids(self, highest: int) -> None:
        """Learn of ids that someone else wrote into the labels."""
        self._highest = max(self._highest, highest)

    def objects(self) -> list[ObjectSummary]:
        """All objects that were prompted, painted or carried, by id."""
        for object_id, standing in self._annotations.items():
            if object_id not in self._summaries:
                self._summaries[object_id] = _summary(object_id, standing)
        return [self._summaries[i] for i in sorted(self._summaries) if self._summaries[i].frames]

    def ids_in(self, frame: FrameIndex) -> tuple[int, ...]:
        """The ids found in the labels of a frame, whoever wrote them there."""
        return tuple(int(i) for i in np.unique(read_frame(self.labels, frame)) if i > 0)

    def region(self, object_id: int, frame: FrameIndex) -> Region:
        """The pixels of an object in the labels of a frame as they are now."""
        return region_of(object_id, self.labels, frame)

    def frames_of(self, object_id: int) -> list[FrameIndex]:
        """The stack's frames in which the labels hold an object, in order. Reads all labels."""
        frames = self.stack.indices()
        return [f for f in frames if (read_frame(self.labels, f) == object_id).any()]

    # What was asked and what stands

    def standing(self, object_id: int, frame: FrameIndex) -> Annotation | None:
        """What stands for an object in a frame; ``None`` if the user never touched it there."""
        return self._annotations.get(object_id, {}).get(frame)

    def annotation(self, object_id: int, frame: FrameIndex) -> Annotation:
        """What stands in the labels for an object in a frame."""
        return self.standing(object_id, frame) or Annotation()

    def annotations_in(self, frame: FrameIndex) -> list[tuple[int, Annotation]]:
        """What stands in a frame, by object."""
        frames = sorted(self._annotations.items())
        return [(object_id, standing[frame]) for object_id, standing in frames if frame in standing]

    def annotations(self) -> Iterator[tuple[Key, Annotation]]:
        """All that stands, object by object."""
        for object_id, frames in self._annotations.items():
            for frame, annotation in frames.items():
                yield (object_id, frame), annotation

    def prompts(self, object_id: int, frame: FrameIndex) -> Prompts:
        """The prompts last given, decoded or not."""
        request = self._requests.get((object_id, frame))
        return (request or self.annotation(object_id, frame)).prompts

    def drawings(self, object_id: int, frame: FrameIndex) -> tuple[Drawing, ...]:
        """The prompts last given, as they were drawn."""
        request = self._requests.get((object_id, frame))
        return (request or self.annotation(object_id, frame)).drawings

    def prompted_frames(self, object_id: int) -> set[FrameIndex]:
        """The frames in which an object has prompts, decoded or not."""
        asked = {frame for o, frame in self._requests if o == object_id}
        frames = asked | self._annotations.get(object_id, {}).keys()
        return {frame for frame in frames if self.drawings(object_id, frame)}

    def anchors(self, object_id: int) -> set[FrameIndex]:
        """The frames in which the user prompted, painted, corrected or confirmed an object."""
        asked = {frame for o, frame in self._requests if o == object_id}
        standing = self._annotations.get(object_id, {})
        return asked | {f for f, annotation in standing.items() if annotation.is_anchor}

    def weakest(self, n: int | None = None) -> list[tuple[int, FrameIndex, float]]:
        """What was carried and is least to be trusted: ``(object, frame, score)``, worst first."""
        scored = [
            (annotation.score, object_id, frame)
            for (object_id, frame), annotation in self.annotations()
            if annotation.score is not None and not annotation.is_anchor
        ]
        scored.sort(key=lambda entry: (entry[0], entry[1], repr(entry[2])))
        return [(object_id, frame, score) for score, object_id, frame in scored[:n]]

    def answer(self, object_id: int, frame: FrameIndex) -> Answer | None:
        """What landed for an object lately, with its candidates to choose from."""
        return self._answers.get((object_id, frame))

    def pending(self) -> tuple[Request, ...]:
        """Requests that nobody has answered yet."""
        return tuple(self._requests.values())

    # Prompts in, labels out

    def draw(
        self, object_id: int, frame: FrameIndex, drawings: tuple[Drawing, ...]
    ) -> Request | None:
        """Give an object's prompts in a frame, all of them, as they were drawn.

        Returns the request to be decoded, also emitted as ``wanted``. It is ``None`` if nothing
        is new, or if nothing is left that a mask could come from: the mask is then taken away at
        once.
        """
        if drawings == self.drawings(object_id, frame):
            return None
        prompts = prompts_from(drawings, self.stack.frame_shape_of(frame))
        return self._give((object_id, frame), prompts, drawings)

    def edit(self, object_id: int, frame: FrameIndex, prompts: Prompts) -> Request | None:
        """Give an object's prompts in a frame, all of them, as :meth:`draw` does for drawings."""
        key = (object_id, frame)
        if self._based(key, prompts) == self.prompts(object_id, frame):
            return None
        return self._give(key, prompts, drawings_of(prompts))

    def choose(self, object_id: int, frame: FrameIndex, candidate: int | None) -> Request | None:
        """Choose a mask token for an object, held through later prompts; ``None`` lets go of it."""
        prompts = self.prompts(object_id, frame)
        if not prompts:
            return None
        drawings = self.drawings(object_id, frame)
        return self._want((object_id, frame), prompts, drawings, candidate)

    def land(self, answer: Answer) -> LabelEdit | None:
        """Write the answer to a request; ``None`` if a newer request has overtaken it.

        Raises
        ------
        SamError
            If the labels cannot hold the object's id. The request is given up.
        """
        request = answer.request
        if self._requests.get(request.key) is not request:
            return None
        del self._requests[request.key]
        annotation = Annotation(
            prompts=request.prompts,
            drawings=request.drawings,
            candidate=request.candidate,
            diameter=request.diameter,
            iou_prediction=answer.iou_prediction,
            stability=answer.stability,
            model=answer.model,
            model_hash=answer.model_hash,
            precision=answer.precision,
            base=request.base,
            footprint=self._footprint(request.key),
        )
        self.models[answer.model] = (answer.model_hash, answer.precision)
        self._note_diameter(request.key, answer.mask)
        self._answers[request.key] = answer
        self._answers.move_to_end(request.key)
        while len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)
        return self._apply(request.key, annotation, answer.mask)

    def fail(self, request: Request) -> None:
        """Give up a request that could not be decoded: what stood before stands."""
        if self._requests.get(request.key) is request:
            del self._requests[request.key]
            self.landed.emit(*request.key)

    def annotate(
        self,
        object_id: int,
        frame: FrameIndex,
        prompts: Prompts,
        predictor: Predictor,
        cache: EmbeddingCache,
    ) -> Prediction | None:
        """Give prompts, decode them now, and write the mask. ``None`` if nothing was new."""
        request = self.edit(object_id, frame, prompts)
        if request is None:
            return None
        answer = decode(request, predictor, cache.embed(predictor, self.stack, frame))
        self.land(answer)
        return answer.prediction

    def _give(self, key: Key, prompts: Prompts, drawings: tuple[Drawing, ...]) -> Request | None:
        base, based = self._base(key), self._based(key, prompts)
        if prompts and self._can_decode(based, self.stack.frame_shape_of(key[1])):
            return self._want(key, based, drawings, self._chosen(key))
        annotation = Annotation(based, drawings, base=base, footprint=self._footprint(key))
        self._forget_wishes((key,))
        self._apply(key, annotation, base)
        return None

    def _based(self, key: Key, prompts: Prompts) -> Prompts:
        return on_base(prompts, self._base(key), self.stack.frame_shape_of(key[1]))

    def _base(self, key: Key) -> Region:
        """What the user found in the labels and corrects: another tool's object, a carried one."""
        request, standing = self._requests.get(key), self.standing(*key)
        if request is not None:
            return request.base
        if standing is not None and standing.source is None:
            return standing.base
        return self.region(*key)

    def _footprint(self, key: Key) -> Footprint:
        standing = self.standing(*key)
        return standing.footprint if standing else Footprint.found(self.region(*key))

    def _can_decode(self, prompts: Prompts, frame_shape: tuple[int, int]) -> bool:
        """Whether a mask can come of these prompts; what of them cannot be used is explained."""
        try:
            _, notes = prompts.fitted(frame_shape)
        except PromptError as error:
            self.explained.emit(str(error))
            return False
        for note in notes:
            self.explained.emit(note)
        return True

    def _want(
        self,
        key: Key,
        prompts: Prompts,
        drawings: tuple[Drawing, ...],
        candidate: int | None,
    ) -> Request:
        self._generation += 1
        base, diameter = self._base(key), self._diameter(key)
        request = Request(*key, prompts, drawings, candidate, self._generation, base, diameter)
        self._requests[key] = request
        self.wanted.emit(request)
        return request

    # How large objects are

    @property
    def expected_diameter(self) -> float | None:
        """Of the circle as large as an object, in pixels of the frame: as the user said, or the
        median of those segmented lately; ``None`` while there are too few."""
        return self.cell_diameter or self.usual_diameter

    @property
    def usual_diameter(self) -> float | None:
        """The median of the objects segmented lately, to two digits."""
        return self._usual_diameter()

    def _usual_diameter(self, besides: int | None = None) -> float | None:
        if not self.learns_diameter:
            return None
        known = [d for (object_id, _), d in self._diameters.items() if object_id != besides]
        return float(f"{median(known):.2g}") if len(known) >= ENOUGH_OBJECTS else None

    def _diameter(self, key: Key) -> float | None:
        """What an object is decoded with: as at its first prompt, so that later ones refine it."""
        standing = self._requests.get(key) or self.annotation(*key)
        if standing.prompts:
            return standing.diameter
        return self.cell_diameter or self._usual_diameter(besides=key[0])

    def _note_diameter(self, key: Key, mask: Region) -> None:
        self._diameters.pop(key, None)
        if mask.area:
            self._diameters[key] = 2 * math.sqrt(mask.area / math.pi)
        while len(self._diameters) > OBJECTS_REMEMBERED:
            self._diameters.popitem(last=False)

    def _chosen(self, key: Key) -> int | None:
        request = self._requests.get(key)
        return request.candidate if request else self.annotation(*key).candidate

    def _apply(
        self, key: Key, annotation: Annotation, mask: Region, run: int | None = None
    ) -> LabelEdit:
        object_id, frame = key
        edit, footprint = mask_to_edit(
            mask,
            self.labels,
            frame,
            object_id,
            annotation.footprint,
            protect_neighbours=self.protect_neighbours,
        )
        before, after = self.standing(*key), replace(annotation, footprint=footprint)
        self._write((edit,))
        self._record(Change((edit,), {key: before}, {key: after}), run)
        return edit

    # What is carried from frame to frame

    def carry(self, carried: Carried, run: int) -> LabelEdit | None:
        """Land an object brought to a frame; ``None`` where nothing lands.

        That is where it stopped, in the frames the user annotated, and once the run was undone.
        """
        key = (carried.object_id, carried.frame)
        standing = self.standing(*key)
        by_user = key in self._requests or (standing is not None and standing.is_anchor)
        if carried.stopped or by_user or not self._history.accepts(run):
            return None
        model_hash, precision = self.models.get(carried.model, ("", ""))
        annotation = Annotation(
            iou_prediction=carried.iou_prediction,
            stability=carried.stability,
            model=carried.model,
            model_hash=model_hash,
            precision=precision,
            source=carried.source,
            score=carried.score,
            footprint=self._footprint(key),
        )
        self._forget_wishes((key,))
        return self._apply(key, annotation, carried.mask, run)

    def confirm(self, object_id: int, frame: FrameIndex) -> bool:
        """Make what was carried to a frame the user's own. ``False`` if nothing was."""
        key = (object_id, frame)
        standing = self.standing(*key)
        if standing is None or standing.source is None:
            return False
        after = replace(standing, source=None, score=None, base=self.region(*key))
        self.make(Change((), {key: standing}, {key: after}))
        return True

    # What others do to the labels

    def note_stroke(
        self,
        atoms: Iterable[tuple[Sequence[Any], Any, Any]],
        displayed: tuple[int, int] | None = None,
    ) -> None:
        """Learn of pixels that were just changed by someone else, such as napari's brush.

        It is one step of undo; what was painted or erased stays through later prompts.

        Parameters
        ----------
        atoms
            ``(indices, before, after)`` in the order they were painted.
        displayed
            The axes that spanned the frame painted in, if others than the stack's own.
        """
        axes = displayed or self.stack.displayed
        edits = edits_of_stroke(atoms, self.stack.shape, axes)
        before: dict[Key, Annotation | None] = {}
        after: dict[Key, Annotation | None] = {}
        for edit in edits:
            for object_id in np.unique(np.concatenate([edit.before, edit.values])):
                if object_id > 0:
                    key = (int(object_id), edit.frame)
                    before[key], after[key] = self.standing(*key), self._after_stroke(key, edit)
        if edits:
            self._record(Change(tuple(edits), before, after))

    def _after_stroke(self, key: Key, edit: LabelEdit) -> Annotation:
        standing = self.standing(*key)
        gained, lost = (edit.changed.chosen(v == key[0]) for v in (edit.values, edit.before))
        covered = self.region(*key).without(lost).united(gained)  # napari may say so beforehand
        if standing is None:
            standing = as_found(covered.without(gained).united(lost))
        elif standing.source is not None:
            standing = replace(standing, base=standing.footprint.landed)
        footprint = standing.footprint.after_stroke(covered)
        return replace(standing, source=None, score=None, footprint=footprint)

    def take_labels(self, labels: Any) -> None:
        """Go on with other labels of the same shape: nothing before can be undone."""
        self.labels = labels
        self._history.clear()
        self._mark(self.stack.indices())

    # Undo

    def new_run(self) -> int:
        """A number under which many changes are one step of undo."""
        return self._history.new_run()

    def make(self, change: Change, run: int | None = None) -> None:
        """Make a change: a step of undo, or part of a run's."""
        self._forget_wishes(change.after)
        self._write(change.edits)
        self._record(change, run)

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
            if change.parents_after is not None:
                self._set_parents(change.parents_after)
        self._forget_wishes(after)
        self._mark_edits(edits)
        self._set(after)

    def _write(self, edits: Sequence[LabelEdit]) -> None:
        for indices, values in writes(edits):
            self.write(indices, values)

    def _record(self, change: Change, run: int | None = None) -> None:
        self._history.add(change, self.new_run() if run is None else run)
        if change.parents_after is not None:
            self._set_parents(change.parents_after)
        self._mark_edits(change.edits)
        self._set(change.after)

    def _set(self, annotations: Mapping[Key, Annotation | None]) -> None:
        self._mark(frame for _, frame in annotations)
        for (object_id, frame), annotation in annotations.items():
            self._summaries.pop(object_id, None)
            if annotation is not None:
                self._annotations.setdefault(object_id, {})[frame] = annotation
            else:
                self._annotations.get(object_id, {}).pop(frame, None)
                if not self._annotations.get(object_id):
                    self._annotations.pop(object_id, None)
        for key in annotations:
            self.landed.emit(*key)

    def _set_parents(self, parents: Parents) -> None:
        self.parents = parents
        self._mark(())
        self.parents_changed.emit()

    def _forget_wishes(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._requests.pop(key, None)
            self._answers.pop(key, None)

    # What is to be saved, and what was

    @property
    def n_changes(self) -> int:
        """The number of the last change; :attr:`changed` tells which frames it concerned."""
        return self._n_changes

    @property
    def highest_id(self) -> int:
        """The highest id ever seen in the labels: none up to it is given again."""
        return max(self._highest, *self._annotations, 0)

    def restore(
        self, annotations: Mapping[Key, Annotation], parents: Parents, highest_id: int
    ) -> None:
        """Take over what was saved of a session whose labels are here already. Not undoable."""
        for (object_id, frame), annotation in annotations.items():
            self._annotations.setdefault(object_id, {})[frame] = annotation
        self.parents = parents
        self.note_ids(highest_id)
        self._summaries.clear()

    def _mark_edits(self, edits: Iterable[LabelEdit]) -> None:
        for edit in filter(None, edits):
            if all((i is None) == (a in self.stack.displayed) for a, i in enumerate(edit.frame)):
                self._mark([edit.frame])
            else:  # of another view: it crosses many of the stack's own frames
                self._mark(_frames_crossed(edit, self.stack))

    def _mark(self, frames: Iterable[FrameIndex]) -> None:
        self._n_changes += 1
        for frame in frames:
            self.changed[frame] = self._n_changes


def _summary(object_id: int, standing: Mapping[FrameIndex, Annotation]) -> ObjectSummary:
    shown = {f: a for f, a in standing.items() if a.drawings or a.footprint.landed}
    scores = [a.iou_prediction if a.score is None else a.score for a in shown.values()]
    return ObjectSummary(
        object_id,
        tuple(shown),
        min((score for score in scores if score is not None), default=None),
        sum(len(annotation.drawings) for annotation in shown.values()),
    )


def _frames_crossed(edit: LabelEdit, stack: FrameStack) -> set[FrameIndex]:
    """The stack's own frames in which an edit made in another view has pixels."""
    places = np.stack(edit.indices, axis=1)
    places[:, list(stack.displayed)] = -1
    return {tuple(None if i < 0 else int(i) for i in row) for row in np.unique(places, axis=0)}


def _highest_id(labels: Any) -> int:
    """The highest id of a stack, read plane by plane so that no stack is held in memory."""
    if labels.ndim > 2:
        return max((_highest_id(plane) for plane in _planes(labels)), default=0)
    return int(np.max(labels, initial=0))


def _planes(labels: Any) -> Any:
    return (labels[i] for i in range(labels.shape[0]))
