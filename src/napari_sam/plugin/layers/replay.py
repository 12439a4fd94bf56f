"""Steps back and forth in a session's history, and where they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from napari_sam.engine import FrameIndex
from napari_sam.session import Key, Session


@dataclass(frozen=True)
class Replayed:
    """A step that was undone or redone."""

    said: str  # in a sentence
    frames: set[FrameIndex] = field(default_factory=set)  # in which something changed
    sources: set[FrameIndex] = field(default_factory=set)  # from which masks had come there


class Replay:
    """Undo and redo of a session."""

    def __init__(self, session: Session) -> None:
        self.is_running = False
        self._session = session

    def undo(self) -> Replayed:
        """Take back what was done last; first of all a request that is not answered yet."""
        session = self._session
        if pending := session.pending():
            newest = max(pending, key=lambda request: request.generation)
            session.fail(newest)
            return Replayed(f"Undone: prompt of object {newest.object_id}.")
        what = session.last_step
        said = f"Undone: {what}." if what else "There is nothing to undo."
        return self._run(session.undo, said)

    def redo(self) -> Replayed:
        """Do again what was undone last."""
        what = self._session.next_step
        said = f"Redone: {what}." if what else "There is nothing to redo."
        return self._run(self._session.redo, said)

    def _run(self, step: Callable[[], bool], said: str) -> Replayed:
        before = dict(self._session.annotations())
        replayed = Replayed(said)

        def note(keys: Sequence[Key]) -> None:
            replayed.frames.update(frame for _, frame in keys)
            for key in keys:
                for each in (before.get(key), self._session.current(*key)):
                    if each is not None and each.source:
                        replayed.sources.add(each.source)

        self._session.landed.connect(note)
        self.is_running = True
        try:
            step()
        finally:
            self.is_running = False
            self._session.landed.disconnect(note)
        return replayed
