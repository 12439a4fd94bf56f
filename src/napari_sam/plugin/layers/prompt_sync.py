"""Drawings in the prompt layers ↔ drawings in the session."""

from __future__ import annotations

from collections.abc import Callable

from napari_sam.engine import FrameIndex, SamError
from napari_sam.session import Drawing, Session

from .deferring import Defer
from .prompt_layers import PromptLayers

THAT_IS = "That is object {}: Shift+click to continue with it."
NOTHING_LEFT = "Nothing of object {} would be left, so it stays. To remove it, press Delete."
NOTHING_THERE = "The model finds nothing there. Draw a box around the object."


class PromptSync:
    """Keeps what is drawn and what the session knows alike, whichever changed.

    Parameters
    ----------
    layers, session
        What is kept alike.
    explain
        Given a sentence about a drawing that no prompt can be made of, or no object.
    defer
        Runs a function when napari is done with its own event.
    """

    def __init__(
        self,
        layers: PromptLayers,
        session: Session,
        explain: Callable[[str], object],
        defer: Defer,
    ) -> None:
        self.negative = False  # what a plain left click means
        self.one_object_per_prompt = False
        self._layers, self._session = layers, session
        self._explain, self._defer = explain, defer
        self._frame: FrameIndex | None = None  # the one drawn in last
        self._shown: set[int] = set()  # objects whose drawings the layers hold
        session.refused.connect(self._on_refused)

    def close(self) -> None:
        """Disconnect from the session."""
        self._session.refused.disconnect(self._on_refused)

    def read(self) -> int | None:
        """Read every drawing and tell the session what is new. Idempotent.

        Returns
        -------
        int or None
            The object that a drawing began, to be made the active one.
        """
        session, layers = self._session, self._layers
        before = {(o, f) for o in self._shown for f in session.prompted_frames(o)}
        drawings: dict[tuple[int, FrameIndex], tuple[Drawing, ...]] = {}
        for object_id, at, drawing in layers.read(session.stack, session.active):
            drawings[object_id, at] = (*drawings.get((object_id, at), ()), drawing)
        self._shown = {session.active, *(object_id for object_id, _ in drawings)}
        for key in [*(before - drawings.keys()), *drawings]:
            try:
                session.draw(*key, drawings.get(key, ()))
            except SamError as error:
                self._explain(str(error))
        newest = max((object_id for object_id, _ in drawings), default=0)
        if layers.points.mode == "add":  # napari selects a new point, which hides its colour
            layers.points.selected_data = set()
        return newest if self.one_object_per_prompt and newest > session.active else None

    def _on_refused(self, object_id: int, frame: FrameIndex, owner: int) -> None:
        """No object came of a drawing: it goes."""
        self._defer(self.show)
        is_there = bool(self._session.region(object_id, frame))
        nothing = NOTHING_LEFT.format(object_id) if is_there else NOTHING_THERE
        self._explain(THAT_IS.format(owner) if owner else nothing)

    def show(self) -> None:
        """Bring the drawings of the active object back into the layers, for editing."""
        active = self._session.active
        frames = sorted(self._session.prompted_frames(active), key=repr)
        self._shown = {active}
        self._layers.show(
            active, [(f, drawing) for f in frames for drawing in self._session.drawings(active, f)]
        )
        self.set_defaults(self._frame)  # napari forgot them

    def set_defaults(self, frame: FrameIndex | None, *, negative: bool = False) -> None:
        """Decide what the next point or shape will belong to and mean."""
        if frame is None:
            return
        self._frame = frame
        negative = negative or self.negative
        session, object_id = self._session, self._session.active
        is_taken = bool(session.prompted_frames(object_id) or session.region(object_id, frame))
        if self.one_object_per_prompt and is_taken and not negative:
            object_id = session.next_id()
        self._layers.set_defaults(object_id, frame, negative=negative)
