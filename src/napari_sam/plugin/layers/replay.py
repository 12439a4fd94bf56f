"""Steps back and forth in a session's history, and where they show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from napari_sam.engine import FrameIndex
from napari_sam.session import Session

Frames: TypeAlias = set[FrameIndex]


class Replay:
    """Undo and redo of a session.

    Both return the frames in which something changed, and those that propagated masks there came
    from.
    """

    def __init__(self, session: Session) -> None:
        self.is_running = False
        self._session = session

    def undo(self) -> tuple[Frames, Frames]:
        """Take back what was done last; first of all a request that is not answered yet."""
        if pending := self._session.pending():
            self._session.fail(max(pending, key=lambda request: request.generation))
            return set(), set()
        return self._run(self._session.undo)

    def redo(self) -> tuple[Frames, Frames]:
        """Do again what was undone last."""
        return self._run(self._session.redo)

    def _run(self, step: Callable[[], bool]) -> tuple[Frames, Frames]:
        before = dict(self._session.annotations())
        frames: Frames = set()
        sources: Frames = set()

        def note(*key: Any) -> None:
            frames.add(key[1])
            both = (before.get(key), self._session.current(*key))
            sources.update(each.source for each in both if each is not None and each.source)

        self._session.landed.connect(note)
        self.is_running = True
        try:
            step()
        finally:
            self.is_running = False
            self._session.landed.disconnect(note)
        return frames, sources
