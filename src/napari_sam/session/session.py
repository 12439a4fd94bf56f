"""Prompts per object and frame become labels: what was asked, what came back, what landed, undo.

A prompt edit becomes a :class:`Request`; whoever has a predictor turns it into an :class:`Answer`
with :func:`decode`, now or later, in this thread or another; :meth:`Session.land` writes the
answer unless a newer request has overtaken it. The session itself runs no network and starts no
thread.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.engine import FrameIndex, FrameStack, PromptError, Prompts, SamError

if TYPE_CHECKING:
    from napari_sam.engine import CachedEmbedding, EmbeddingCache, Prediction, Predictor

from .drawing import Drawing, drawings_of, prompts_from
from .edits import Footprint, LabelEdit, Region, mask_to_edit

Key: TypeAlias = tuple[int, FrameIndex]  # one object in one frame
Write: TypeAlias = Callable[[tuple[Any, ...], Any], object]

NO_PROMPTS, NO_FOOTPRINT = Prompts(), Footprint.empty()
ANSWERS_KEPT = 16  # candidates to choose from again; up to 1 MB each


@dataclass(frozen=True)
class Annotation:
    """One object in one frame as it stands in the labels."""

    prompts: Prompts = NO_PROMPTS
    drawings: tuple[Drawing, ...] = ()
    candidate: int | None = None  # the mask token the user chose; None: the network's own choice
    iou_prediction: float | None = None
    stability: float | None = None
    model: str = ""
    footprint: Footprint = NO_FOOTPRINT


@dataclass(frozen=True)
class Request:
    """A mask that is wanted. The generation tells it from earlier wishes for the same object."""

    object_id: int
    frame: FrameIndex
    prompts: Prompts
    drawings: tuple[Drawing, ...]
    candidate: int | None
    generation: int

    @property
    def key(self) -> Key:
        """The object and frame it is for."""
        return (self.object_id, self.frame)


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network makes of a request."""

    request: Request
    prediction: Prediction
    mask: Region
    iou_prediction: float
    stability: float
    model: str
    picture: NDArray[np.uint8]  # the frame in small, under the low-res logits


@dataclass(frozen=True)
class ObjectSummary:
    """One line of the list of objects."""

    object_id: int
    frames: tuple[FrameIndex, ...]
    score: float | None  # the lowest IoU prediction over its frames: where to look first
    n_prompts: int


@dataclass(frozen=True)
class _Step:
    """One undoable change of one object in one frame."""

    key: Key
    before: Annotation | None
    after: Annotation
    edit: LabelEdit


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
        self.protect_neighbours = protect_neighbours
        self.write: Write = labels.__setitem__ if write is None else write
        self._annotations: dict[Key, Annotation] = {}
        self._requests: dict[Key, Request] = {}
        self._answers: OrderedDict[Key, Answer] = OrderedDict()
        self._done: list[_Step] = []
        self._undone: list[_Step] = []
        self._generation = 0
        self._highest = _highest_id(labels) if highest_id is None else highest_id
        self._active = self._highest + 1

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
        asked = (key[0] for key in (*self._annotations, *self._requests))
        return max(self._highest, beside, *asked, 0) + 1

    def note_ids(self, highest: int) -> None:
        """Learn of ids that someone else wrote into the labels."""
        self._highest = max(self._highest, highest)

    def objects(self) -> list[ObjectSummary]:
        """All prompted objects, by id."""
        frames: dict[int, list[FrameIndex]] = {}
        for (object_id, frame), annotation in self._annotations.items():
            if annotation.drawings:
                frames.setdefault(object_id, []).append(frame)
        return [self._summary(object_id, frames[object_id]) for object_id in sorted(frames)]

    def _summary(self, object_id: int, frames: list[FrameIndex]) -> ObjectSummary:
        annotations = [self._annotations[object_id, frame] for frame in frames]
        scores = [a.iou_prediction for a in annotations if a.iou_prediction is not None]
        return ObjectSummary(
            object_id,
            tuple(frames),
            min(scores, default=None),
            sum(len(annotation.drawings) for annotation in annotations),
        )

    # What was asked and what stands

    def annotation(self, object_id: int, frame: FrameIndex) -> Annotation:
        """What stands in the labels for an object in a frame."""
        return self._annotations.get((object_id, frame), Annotation())

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
        keys = {*self._annotations, *self._requests}
        return {f for o, f in keys if o == object_id and self.drawings(o, f)}

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
        if prompts == self.prompts(object_id, frame):
            return None
        return self._give((object_id, frame), prompts, drawings_of(prompts))

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
            iou_prediction=answer.iou_prediction,
            stability=answer.stability,
            model=answer.model,
            footprint=self.annotation(*request.key).footprint,
        )
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
        if self._can_decode(prompts, self.stack.frame_shape_of(key[1])):
            return self._want(key, prompts, drawings, self._chosen(key))
        self._forget_wishes(key)
        footprint = self.annotation(*key).footprint
        self._apply(key, Annotation(prompts, drawings, footprint=footprint), Region.empty())
        return None

    def _can_decode(self, prompts: Prompts, frame_shape: tuple[int, int]) -> bool:
        """Whether a mask can come of these prompts; what of them cannot be used is explained."""
        if not prompts:
            return False
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
        request = Request(*key, prompts, drawings, candidate, self._generation)
        self._requests[key] = request
        self.wanted.emit(request)
        return request

    def _chosen(self, key: Key) -> int | None:
        request = self._requests.get(key)
        return request.candidate if request else self.annotation(*key).candidate

    def _apply(self, key: Key, annotation: Annotation, mask: Region) -> LabelEdit:
        object_id, frame = key
        edit, footprint = mask_to_edit(
            mask,
            self.labels,
            frame,
            object_id,
            annotation.footprint,
            protect_neighbours=self.protect_neighbours,
        )
        if edit:
            self.write(edit.indices, edit.values)
        after = replace(annotation, footprint=footprint)
        self._done.append(_Step(key, self._annotations.get(key), after, edit))
        self._undone.clear()
        self._set(key, after)
        return edit

    def _set(self, key: Key, annotation: Annotation | None) -> None:
        if annotation is None:
            self._annotations.pop(key, None)
        else:
            self._annotations[key] = annotation
        self.landed.emit(*key)

    # Undo

    def undo(self) -> bool:
        """Take back the last change of labels and prompts. ``False`` if there is none."""
        if not self._done:
            return False
        step = self._done[-1]
        if step.edit:
            self.write(step.edit.indices, step.edit.before)
        self._step_back()
        return True

    def redo(self) -> bool:
        """Do again what was undone last. ``False`` if there is nothing."""
        if not self._undone:
            return False
        step = self._undone[-1]
        if step.edit:
            self.write(step.edit.indices, step.edit.values)
        self._step_forward()
        return True

    @property
    def last_edit(self) -> LabelEdit | None:
        """The label change that :meth:`undo` would take back."""
        return self._done[-1].edit if self._done else None

    @property
    def next_edit(self) -> LabelEdit | None:
        """The label change that :meth:`redo` would make again."""
        return self._undone[-1].edit if self._undone else None

    def reconcile(self) -> None:
        """Follow labels that were undone or redone elsewhere, such as by napari's own history.

        If the last edit's pixels hold again what they held before it, the prompts go back too; if
        the next edit's pixels hold its values, they go forward.
        """
        if self._done and self._holds(self._done[-1].edit, before=True):
            self._step_back()
        elif self._undone and self._holds(self._undone[-1].edit, before=False):
            self._step_forward()

    def _holds(self, edit: LabelEdit, *, before: bool) -> bool:
        expected = edit.before if before else edit.values
        return bool(edit) and np.array_equal(np.asarray(self.labels[edit.indices]), expected)

    def _step_back(self) -> None:
        step = self._done.pop()
        self._undone.append(step)
        self._forget_wishes(step.key)
        self._set(step.key, step.before)

    def _step_forward(self) -> None:
        step = self._undone.pop()
        self._done.append(step)
        self._forget_wishes(step.key)
        self._set(step.key, step.after)

    def _forget_wishes(self, key: Key) -> None:
        self._requests.pop(key, None)
        self._answers.pop(key, None)


def decode(request: Request, predictor: Predictor, cached: CachedEmbedding) -> Answer:
    """Answer a request with its frame's embedding. Touches no session: any thread may do it."""
    prediction = predictor.refine(
        cached.embedding, request.prompts, candidate=request.candidate, memo=cached.memo
    )
    return Answer(
        request,
        prediction,
        Region.from_mask(prediction.mask()),
        float(prediction.iou_predictions[prediction.best]),
        float(prediction.stability_scores[prediction.best]),
        predictor.model.name,
        cached.picture,
    )


def _highest_id(labels: Any) -> int:
    """The highest id of a stack, read plane by plane so that no stack is held in memory."""
    if labels.ndim > 2:
        return max((_highest_id(plane) for plane in _planes(labels)), default=0)
    return int(np.max(labels, initial=0))


def _planes(labels: Any) -> Any:
    return (labels[i] for i in range(labels.shape[0]))
