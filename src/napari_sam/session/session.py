"""Prompts per object and frame become labels: what was asked, what came back, what landed, undo.

A prompt edit becomes a :class:`Request`; a predictor turns it into an :class:`Answer`
with :func:`decode`, now or later, in this thread or another; :meth:`Session.land` writes the
answer unless a newer request has overtaken it. The session itself runs no network and starts no
thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sam.engine import Box, FrameIndex, FrameStack, PromptError, Prompts, crops_to_look_at

if TYPE_CHECKING:
    from napari_sam.engine import EmbeddingCache, Prediction, Predictor

    from .placement import Placement

from .annotation import Annotation, Answer, Key, Propagated, Request, decode
from .cell_size import CellSizes
from .drawing import Drawing, drawings_of, on_base, prompts_from
from .edits import Footprint, LabelEdit, edits_of_stroke, mask_to_edit
from .history import Change
from .labels import AnnotatedLabels, Write
from .ownership import losing_pixels, owner_of
from .region import Region
from .strokes import change_by_hand


class Session(AnnotatedLabels):
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
        If labels and image have different shapes, or the labels are not integers or cannot be
        written to.
    """

    requested = Signal(Request)  # a mask is to be decoded
    active_changed = Signal(int)
    explained = Signal(str)  # what of the prompts could not be used, and why
    refused = Signal(int, tuple, int)  # object, frame: no mask landed; the object it is, 0: none

    def __init__(
        self,
        stack: FrameStack,
        labels: Any,
        write: Write | None = None,
        *,
        protect_neighbours: bool = True,
        highest_id: int | None = None,
    ) -> None:
        super().__init__(stack, labels, write, highest_id)
        self.cell_diameter: float | None = None  # in pixels, where the user says so
        self.learns_diameter = False  # else from the objects segmented lately
        self.protect_neighbours = protect_neighbours
        self.placement: Placement | None = None  # of the image in the world, if it is known
        self.channel_axis: int | None = None  # of the image as it was opened; labels have none
        self.image_reader: str | None = None  # the plugin of napari that read the image
        self.shown: FrameIndex | None = None  # the frame on screen, to continue there later
        self.through: dict[int, str] = {}  # axes that the user said are "time" or "depth"
        self.is_done = False  # whether the user has said that the image is finished
        self.seen: Box | None = None  # the part of it on screen, in its pixels
        self.notices: list[str] = []  # what to tell the user about a session that was opened
        self.is_of_image = True  # False: it was saved with an image of other pixels
        self.models: dict[str, tuple[str, str]] = {}  # their hash and precision, by name
        self._sizes = CellSizes()
        self._active = self._highest + 1

    # The current object

    @property
    def active(self) -> int:
        """The id that prompts go to."""
        return self._active

    def select(self, object_id: int) -> None:
        """Make an object, new or old, the one that prompts go to.

        Raises
        ------
        SamError
            If the labels cannot hold its id.
        """
        self.make_room(object_id)
        if object_id != self._active:
            self._active = object_id
            self.active_changed.emit(object_id)

    def new_object(self) -> int:
        """Select a new object: one more than the highest id in the whole stack."""
        self.select(self.next_id())
        return self._active

    def finish(self, is_done: bool = True) -> None:
        """Note that the image is finished, or that it is not."""
        if is_done != self.is_done:
            self.is_done = is_done
            self._mark(())

    # Prompts in, labels out

    def draw(
        self, object_id: int, frame: FrameIndex, drawings: tuple[Drawing, ...]
    ) -> Request | None:
        """Give an object's prompts in a frame, all of them, as they were drawn.

        Returns the request to be decoded, also emitted as ``requested``; ``None`` if nothing is
        new, or nothing is left that a mask could come from: the mask is then taken away at once.
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

    def land(self, answer: Answer, run: int | None = None) -> LabelEdit | None:
        """Write the answer to a request; ``None`` if a newer request has overtaken it.

        A mask without a pixel, or with only what other objects leave over, does not land either:
        the annotation before is kept, and ``refused`` is emitted.

        Parameters
        ----------
        run
            Of many prompts that were given at once, by :meth:`new_run`: the request need not be
            pending, and all that lands is one step of undo. Once that was undone, nothing lands.

        Raises
        ------
        SamError
            If the labels cannot hold the object's id. The request is given up.
        """
        key = answer.request.key
        if not (self._pending.drop(answer.request) if run is None else self.accepts(run)):
            return None
        owner = self._owner(key, answer.mask, answer.request.prompts)
        if owner is not None:
            if run is not None:
                return None
            self._mark(())
            self.landed.emit((key,))
            self.refused.emit(*key, owner)
            return None
        self.models[answer.model] = (answer.model_hash, answer.precision)
        annotation = Annotation.of_answer(answer, self._footprint(key))
        if run is None:
            self._sizes.note(key, answer.mask.area)
            self._pending.remember(answer)
        return self._apply(key, annotation, answer.mask, run)

    def fail(self, request: Request) -> None:
        """Give up a request that could not be decoded; the annotation before is kept."""
        if self._pending.drop(request):
            self._mark(())
            self.landed.emit((request.key,))

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
        embed = partial(cache.embed, predictor, self.stack, frame, None)
        answer = decode(request, predictor, embed, self.stack)
        self.land(answer)
        return answer.prediction

    def _give(self, key: Key, prompts: Prompts, drawings: tuple[Drawing, ...]) -> Request | None:
        self.make_room(key[0])
        base, based = self._base(key), self._based(key, prompts)
        if prompts and self._can_decode(based, self.stack.frame_shape_of(key[1])):
            return self._want(key, based, drawings, self._newest(key).candidate)
        annotation = Annotation(based, drawings, base=base, footprint=self._footprint(key))
        self._pending.forget((key,))
        self._apply(key, annotation, base, action="removed prompt")
        return None

    def _based(self, key: Key, prompts: Prompts) -> Prompts:
        return on_base(prompts, self._base(key), self.stack.frame_shape_of(key[1]))

    def _base(self, key: Key) -> Region:
        """The mask that the user corrects: from another tool, or propagated."""
        request, current = self._pending.get(key), self.current(*key)
        if request is not None:
            return request.base
        if current is not None and current.is_own:
            return current.base
        return self.region(*key)

    def _footprint(self, key: Key) -> Footprint:
        current = self.current(*key)
        return current.footprint if current else Footprint.found(self.region(*key))

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
        base, diameter = self._base(key), self._diameter(key)
        frame_shape, earlier = self.stack.frame_shape_of(key[1]), self.annotation(*key).crop
        crops = crops_to_look_at(prompts, frame_shape, diameter, self.seen, earlier)
        wanted = Request(*key, prompts, drawings, candidate, base, diameter, crops)
        request = self._pending.add(wanted)
        self._mark(())
        self.requested.emit(request)
        return request

    def _owner(self, key: Key, mask: Region, prompts: Prompts) -> int | None:
        """Whose a mask is that adds no object: another's, or nobody's (0) if it is empty."""
        if not mask:
            return 0
        if not self.protect_neighbours or self.region(*key):
            return None
        return owner_of(mask, prompts, self.labels, key[1], key[0])

    def undo(self) -> bool:
        """Take back the last step; what a deletion had taken away is selected again."""
        last = self._history.last
        is_undone = super().undo()
        if last is not None and last.deleted:
            self.select(last.deleted[0])
        return is_undone

    # How large objects are

    @property
    def expected_diameter(self) -> float | None:
        """Of the circle as large as an object, in pixels of the frame: as the user said, or the
        median of those segmented lately; ``None`` while there are too few."""
        return self.cell_diameter or self.usual_diameter

    @property
    def usual_diameter(self) -> float | None:
        """The median of the objects segmented lately, to two digits."""
        return self._sizes.usual() if self.learns_diameter else None

    def recall_sizes(self) -> None:
        """Learn the size of objects from what was segmented before the session was saved."""
        for key, annotation in self.annotations():
            if annotation.is_anchor:
                self._sizes.note(key, annotation.footprint.landed.area)

    def _diameter(self, key: Key) -> float | None:
        """The diameter that an object is decoded with, the same as at its first prompt."""
        newest = self._newest(key)
        if newest.prompts:
            return newest.diameter
        learned = self._sizes.usual(besides=key[0]) if self.learns_diameter else None
        return self.cell_diameter or learned

    # What is written

    def _apply(
        self,
        key: Key,
        annotation: Annotation,
        mask: Region,
        run: int | None = None,
        action: str = "prompt",
    ) -> LabelEdit:
        object_id, frame = key
        self.make_room(object_id)
        edit, footprint = mask_to_edit(
            mask,
            self.labels,
            frame,
            object_id,
            annotation.footprint,
            protect_neighbours=self.protect_neighbours,
        )
        after = {
            key: replace(annotation, footprint=footprint),
            **({} if self.protect_neighbours else losing_pixels(self, edit, object_id)),
        }
        before = {each: self.current(*each) for each in after}
        self._write((edit,))
        self._record(Change((edit,), before, after, action=action), run)
        return edit

    # What is propagated from frame to frame

    def land_propagated(self, propagated: Propagated, run: int) -> LabelEdit | None:
        """Land an object brought to a frame; ``None`` where no pixel lands.

        That is in the frames the user annotated, once the run was undone, and where it stopped: why
        it did is kept, unless the object is in that frame already.
        """
        key = (propagated.object_id, propagated.frame)
        self.make_room(propagated.object_id)
        current = self.current(*key)
        by_user = self._pending.get(key) is not None or (current is not None and current.is_anchor)
        if by_user or not self._history.accepts(run):
            return None
        model = self.models.get(propagated.model, ("", ""))
        if not propagated.stopped and self._owner(key, propagated.mask, Prompts()) is not None:
            others = f"Object {key[0]} would consist of pixels of other objects only."
            propagated = replace(propagated, mask=Region.empty(), stopped=others)
        annotation = Annotation.of_propagated(propagated, *model, self._footprint(key))
        if not propagated.stopped:
            self._pending.forget((key,))
            return self._apply(key, annotation, propagated.mask, run, "propagation")
        if annotation != current and not self.region(*key):
            change = Change((), {key: current}, {key: annotation}, action="propagation")
            self._record(change, run)
        return None

    def confirm(self, object_id: int, frame: FrameIndex) -> bool:
        """Make what was propagated to a frame, or found in it, the user's own.

        Where it ended before that frame: agree that it did.

        ``False`` if neither is the case.
        """
        key = (object_id, frame)
        current = self.current(*key)
        if current is None or current.is_own:
            return False
        own = replace(current.own, base=self.region(*key))
        after = {key: None if current.stopped else own}
        self.make(Change((), {key: current}, after, action="confirmation"))
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
        edits = edits_of_stroke(atoms, self.stack.shape, displayed or self.stack.displayed)
        self.note_ids(max((int(edit.values.max()) for edit in edits if edit), default=0))
        if edits:
            self._record(change_by_hand(self, edits))
