"""Review states of objects: given by menu and key, with a note."""

from __future__ import annotations

from napari_sam.engine import ReviewState, SamError
from napari_sam.plugin.panels.objects import ObjectPanel
from napari_sam.session import names_of
from napari_sam.session.review_states import set_review

from .controller import Controller, Window

NEXT: dict[ReviewState | None, ReviewState | None] = {  # what the key makes of a state
    None: "approved",
    "approved": "unclear",
    "unclear": "to check",
    "to check": None,
}


class ReviewStates(Controller):
    """Gives the objects chosen in the list a review state; each time is one step of undo.

    Parameters
    ----------
    objects
        The list of objects, and its menu.
    """

    def __init__(self, window: Window, objects: ObjectPanel) -> None:
        super().__init__(window)
        self._objects = objects
        objects.menu.review_picked.connect(self.give)
        objects.menu.note_clicked.connect(self._ask_note)
        objects.note_typed.connect(self.write_note)

    def give(self, state: ReviewState | None) -> None:
        """Give the chosen objects a state, or none."""
        if self._bridge is None or not (chosen := self._chosen()):
            return
        set_review(self._bridge.session, chosen, state)
        are = "is" if len(chosen) == 1 else "are"
        self._status.show_idle(f"{names_of(chosen).capitalize()} {are} {state or 'not reviewed'}.")

    def give_next(self) -> None:
        """What the key does: approved, then unclear, to check, and none again."""
        if self._bridge is None or not (chosen := self._chosen()):
            return
        review = self._bridge.session.reviews.get(chosen[0])
        self.give(NEXT[None if review is None else review.state])

    def write_note(self, note: str) -> None:
        """Note something on the chosen objects; those without a state are to be checked then."""
        if self._bridge is None or not (chosen := self._chosen()):
            return
        session = self._bridge.session
        run = session.new_run()
        by_state: dict[ReviewState, list[int]] = {}
        for object_id in chosen:
            review = session.reviews.get(object_id)
            by_state.setdefault("to check" if review is None else review.state, []).append(
                object_id
            )
        try:
            for state, ids in by_state.items():
                set_review(session, ids, state, note=note.strip(), run=run)
        except SamError as error:
            self._tell(error)

    def _ask_note(self) -> None:
        if self._bridge is None or not (chosen := self._chosen()):
            return
        review = self._bridge.session.reviews.get(chosen[0])
        self._objects.ask_note(names_of(chosen), "" if review is None else review.note)

    def _chosen(self) -> list[int]:
        chosen = self._objects.chosen()
        if not chosen:
            self._tell(SamError("No object is selected. Click one in the list."))
        return chosen
