"""Drawings in the prompt layers ↔ drawings in the session."""

from __future__ import annotations

from collections.abc import Callable

from napari_sam.engine import FrameIndex, SamError
from napari_sam.session import Drawing, Session

from .prompt_layers import PromptLayers


class PromptSync:
    """Keeps what is drawn and what the session knows alike, whichever changed.

    Parameters
    ----------
    layers, session
        What is kept alike.
    explain
        Given a sentence about a drawing that no prompt can be made of.
    """

    def __init__(
        self, layers: PromptLayers, session: Session, explain: Callable[[str], object]
    ) -> None:
        self.negative = False  # what a plain left click means
        self.one_object_per_prompt = False
        self._layers, self._session, self._explain = layers, session, explain
        self._shown: set[int] = set()  # objects whose drawings the layers hold

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

    def show(self) -> None:
        """Bring the drawings of the active object back into the layers, for editing."""
        active = self._session.active
        frames = sorted(self._session.prompted_frames(active), key=repr)
        self._shown = {active}
        self._layers.show(
            active, [(f, drawing) for f in frames for drawing in self._session.drawings(active, f)]
        )

    def set_defaults(self, frame: FrameIndex | None, *, negative: bool = False) -> None:
        """Decide what the next point or shape will belong to and mean."""
        if frame is None:
            return
        negative = negative or self.negative
        object_id = self._session.active
        is_taken = bool(self._session.prompted_frames(object_id))
        if self.one_object_per_prompt and is_taken and not negative:
            object_id = self._session.next_id()
        self._layers.set_defaults(object_id, frame, negative=negative)
