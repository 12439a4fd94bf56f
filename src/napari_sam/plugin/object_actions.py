"""The menu of the list of objects: delete, merge, split, swap, join, divide."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import QObject

from napari_sam.engine import FrameIndex, SamError
from napari_sam.session import Session, objects
from napari_sam.session.objects import Scope

from .layers import LayerBridge
from .panels import ObjectPanel

SCOPES: dict[str, Scope] = {
    "here": "here",
    "onwards": "onwards",
    "everywhere": "everywhere",
}


class ObjectActions(QObject):
    """Does with the objects chosen in the list what is picked from its menu.

    Parameters
    ----------
    panel
        The list and its menu.
    axis
        Gives the axis that "from here on" follows; ``None`` for the first.
    say
        Given what was done, in a sentence.
    tell
        Given what went wrong.
    """

    def __init__(
        self,
        panel: ObjectPanel,
        axis: Callable[[], int | None],
        say: Callable[[str], None],
        tell: Callable[[Exception], None],
    ) -> None:
        super().__init__()
        self.mother: int | None = None  # of a division that waits for its daughters
        self._bridge: LayerBridge | None = None
        self._panel, self._axis = panel, axis
        self._say, self._tell = say, tell
        panel.menu.picked.connect(self.do)
        panel.menu.aboutToShow.connect(self.show_possible)

    def attach(self, bridge: LayerBridge) -> None:
        """Work on the objects of a session."""
        self._bridge = bridge
        bridge.also_chosen.connect(self._panel.choose_also)

    def detach(self) -> None:
        """Let go of them."""
        if self._bridge is not None:
            self._bridge.also_chosen.disconnect(self._panel.choose_also)
        self._bridge = self.mother = None

    def show_possible(self) -> None:
        """Enable what can be done with the objects chosen now."""
        self._panel.menu.allow(self._possible())

    def do(self, name: str) -> None:
        """Do one thing of the menu; each is one step of undo."""
        bridge = self._bridge
        if bridge is None or bridge.frame is None:
            return
        session, chosen = bridge.session, self._chosen(bridge.session)
        action, _, scope = name.partition(" ")
        try:
            done = self._do(action, scope, session, bridge.frame, chosen)
        except SamError as error:
            self._tell(error)
            return
        bridge.show_object()
        self._say(done)

    def _possible(self) -> set[str]:
        if self._bridge is None or self._bridge.frame is None:
            return set()
        names = {"split", "mother", *(f"delete {scope}" for scope in SCOPES)}
        session = self._bridge.session
        chosen = self._chosen(session)
        if len(chosen) == 2:
            names |= {"swap", "join", *(f"merge {scope}" for scope in SCOPES)}
        if self.mother is not None:
            names.add("daughters")
        if session.active in session.parents:
            names.add("orphan")
        return names

    def _chosen(self, session: Session) -> Sequence[int]:
        """The object in hand, then the others that are chosen."""
        others = [each for each in self._panel.chosen() if each != session.active]
        return [session.active, *others]

    def _do(
        self, action: str, scope: str, session: Session, frame: FrameIndex, chosen: Sequence[int]
    ) -> str:
        """Do it, and say what was done."""
        first, axis = chosen[0], self._axis()
        if action == "delete":
            for each in chosen:
                objects.delete(session, each, frame, SCOPES[scope], axis)
            return f"Deleted {_names(chosen)}. Ctrl+Z brings back."
        if action == "merge":
            objects.merge(session, first, chosen[1], frame, SCOPES[scope], axis)
            return f"Object {chosen[1]} is part of object {first} now."
        if action == "split":
            return f"The parts are {_names([first, *objects.split(session, first, frame)])} now."
        if action == "swap":
            objects.swap(session, first, chosen[1], frame, axis)
            return f"{_names(chosen)} have exchanged their ids from here on."
        if action == "join":
            objects.join(session, first, chosen[1], frame, axis)
            return f"Object {chosen[1]} goes on as object {first} from here."
        if action == "orphan":
            objects.unlink(session, first)
            return f"Object {first} comes from no other."
        return self._divide(action, session, frame, chosen)

    def _divide(
        self, action: str, session: Session, frame: FrameIndex, chosen: Sequence[int]
    ) -> str:
        """First the mother, then her daughters."""
        if action == "mother" or self.mother is None:
            self.mother = chosen[0]
            return (
                f"Object {self.mother} divides. Go to the first frame with its daughters, choose "
                "them (Ctrl+click in the list), and pick “The chosen are its daughters”."
            )
        daughters = objects.divide(session, self.mother, self._panel.chosen(), frame, self._axis())
        mother, self.mother = self.mother, None
        self._panel.choose(daughters)
        return f"Object {mother} divided into {_names(daughters)}."


def _names(object_ids: Sequence[int]) -> str:
    """ "object 3", "objects 3 and 4", "objects 3, 4 and 5"."""
    *others, last = map(str, object_ids)
    return f"objects {', '.join(others)} and {last}" if others else f"object {last}"
