"""Low-confidence objects: look at each, correct it, propagate from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam.engine import FrameIndex, SamError
from napari_sam.plugin.panels.review import ReviewPanel
from napari_sam.session import Key, Session, classes
from napari_sam.stacks import Direction, plan

from .controller import Controller, Window
from .propagation import Propagation

if TYPE_CHECKING:
    from napari_sam.plugin.layers.bridge import LayerBridge

SETTLE_MS = 300  # time without new masks before the list is updated
MOST_ROWS = 200
PAUSE_MS = 4000  # time without a correction after which it is complete
CORRECTING = "Corrected so far. U, N or a pause propagates it from here."
CORRECTED = "Corrected so far. Continue with the next."
SETTLED = "This one is done. Continue with the next."
NOTHING = "There is nothing of low confidence to review."
WHAT_NOW = "0: it is right. Prompts correct it. U: next."


@dataclass(frozen=True)
class Entry:
    """One object in one frame: propagated there, or found in it, with a low score, or ended."""

    object_id: int
    frame: FrameIndex
    source: FrameIndex  # where it came from; the same frame: it was found there
    score: float | None  # None: it ended
    why: str
    class_name: str = ""  # it is about this class, which was proposed

    @property
    def key(self) -> tuple[int, FrameIndex]:
        """The object and the frame."""
        return (self.object_id, self.frame)

    @property
    def about(self) -> tuple[int, FrameIndex, bool]:
        """What it is about: no two entries are about the same."""
        return (*self.key, bool(self.class_name))

    @property
    def cells(self) -> tuple[str, str, str]:
        """Object, frame and score as shown."""
        score = "ended" if self.score is None else f"{self.score:.2f}"
        return str(self.object_id), frame_text(self.frame) or "–", score

    @property
    def is_found(self) -> bool:
        """Whether it was found in its frame: then there is nowhere to propagate it to."""
        return self.source == self.frame

    @property
    def axis(self) -> int:
        """The axis along which it came."""
        pairs = zip(self.frame, self.source, strict=True)
        return next(axis for axis, (here, there) in enumerate(pairs) if here != there)

    @property
    def direction(self) -> Direction:
        """The way it came."""
        return "forward" if self.steps_to(self.source) < 0 else "backward"

    def steps_to(self, frame: FrameIndex) -> int:
        """How far another frame is along the axis."""
        return (frame[self.axis] or 0) - (self.frame[self.axis] or 0)


class Review(Controller):
    """Keeps the list, and goes through it.

    A correction ends when the user continues with the next entry or another object, or pauses. Then
    it is propagated, and all of it is one step of undo.

    Parameters
    ----------
    panel
        Shows it.
    propagation
        Propagates what was corrected.
    """

    listed = Signal(int)  # how many there are
    class_confirmed = Signal(int)  # in which run

    def __init__(self, window: Window, panel: ReviewPanel, propagation: Propagation) -> None:
        super().__init__(window)
        self.entries: list[Entry] = []
        self.current: Entry | None = None
        self._row = 0  # where the current one stood in the list
        self._correcting: Entry | None = None  # what the user is at
        self._is_over = False  # and done with, as soon as the last answer has come
        self._since = 0  # the run before the first that may correct the current one
        self._panel, self._propagation = panel, propagation
        self._settled = _single_shot(self, SETTLE_MS)
        self._settled.timeout.connect(self.refresh)
        self._pause = _single_shot(self, PAUSE_MS)
        self._pause.timeout.connect(self.finish)
        propagation.ended.connect(self.refresh)
        panel.next_clicked.connect(self.next)
        panel.right_clicked.connect(self.looks_right)
        panel.propagate_clicked.connect(self.propagate_frames)
        panel.row_clicked.connect(self.look_at)

    def attach(self, bridge: LayerBridge) -> None:
        """Review the session of an image."""
        self._bridge = bridge
        bridge.session.landed.connect(self._on_landed)
        bridge.session.active_changed.connect(self._on_active)
        bridge.session.classes_changed.connect(self._on_classes)
        self.refresh()

    def detach(self) -> None:
        """Let go of the image."""
        if self._bridge is not None:
            self._bridge.session.landed.disconnect(self._on_landed)
            self._bridge.session.active_changed.disconnect(self._on_active)
            self._bridge.session.classes_changed.disconnect(self._on_classes)
            self._bridge = self.current = self._correcting = None
            self._pause.stop()
            self.refresh()

    def refresh(self) -> None:
        """List what there is to look at now."""
        self.entries = [] if self._bridge is None else list(self._found(self._bridge.session))
        self._panel.show_rows([d.cells for d in self.entries], [d.why for d in self.entries])
        listed = [entry.about for entry in self.entries]
        if self.current is not None and self.current.about in listed:
            self._row = listed.index(self.current.about)
            self._panel.mark(self._row, self.current.why)
        else:
            self._panel.mark(None, self._about_current())
        self._panel.propagate.setEnabled(self._can_propagate)
        self.listed.emit(len(self.entries))

    @property
    def _can_propagate(self) -> bool:
        return self.current is not None and not self.current.is_found

    def _about_current(self) -> str:
        """The state of an entry that is no longer in the list."""
        if self._correcting is not None:
            return CORRECTED if self._correcting.is_found else CORRECTING
        return "" if self.current is None else SETTLED

    def _found(self, session: Session) -> list[Entry]:
        """Entries to review: unsure classes, ended objects, then the lowest scores."""
        entries = list(self._unsure(session))
        entries += [
            Entry(*key, annotation.source, None, annotation.stopped)
            for key, annotation in session.annotations()
            if annotation.stopped and annotation.source is not None
        ]
        for object_id, frame, score in session.weakest(MOST_ROWS):
            annotation = session.annotation(object_id, frame)
            source = annotation.source
            if source is not None and source != frame:
                why = f"Object {object_id} was propagated here from frame {frame_text(source)}."
                why = f"{why} {annotation.warning}".rstrip()
                entries.append(Entry(object_id, frame, source, score, why))
            elif annotation.found_by:
                found = f"Object {object_id} was found automatically, and is not confirmed yet."
                why = annotation.warning or found
                entries.append(Entry(object_id, frame, frame, score, why))
        return entries

    def _unsure(self, session: Session) -> Iterator[Entry]:
        """Objects whose proposed class is not sure."""
        unsure = classes.unsure_classes(session, MOST_ROWS)
        frames = {each.object_id: each.frames[0] for each in session.objects()} if unsure else {}
        for object_id, given in unsure:
            frame = frames.get(object_id, session.shown)
            if frame is not None:
                why = (
                    f"Object {object_id} may be “{given.name}”. Confirm it, or give another class."
                )
                yield Entry(object_id, frame, frame, given.probability, why, given.name)

    # Going through the list

    def next(self) -> None:
        """Look at the one after the current one; if that is settled, at what took its place."""
        self.finish()
        if self._settled.isActive():
            self.refresh()
        listed = [entry.about for entry in self.entries]
        stays = self.current is not None and self.current.about in listed
        if listed:
            self.look_at((self._row + stays) % len(listed))
        else:
            self._say(NOTHING)

    def look_at(self, row: int) -> None:
        """Show a frame of the list, and select its object."""
        if self._bridge is None:
            return
        entry = self.entries[row]
        self.finish()
        listed = [each.about for each in self.entries]  # others, if a correction was finished
        row = listed.index(entry.about) if entry.about in listed else row
        self.current, self._row = entry, row
        self._since = self._bridge.session.newest_run
        self._panel.mark(row, self.current.why)
        self._panel.propagate.setEnabled(self._can_propagate)
        self._bridge.select(self.current.object_id)
        if self.current.class_name:
            self._bridge.go_to(self.current.object_id)
        else:
            self._bridge.show_one_of([self.current.frame])
        self._say(f"{entry.why} {WHAT_NOW}")

    def _say(self, text: str) -> None:
        """Where the page that says it is not in sight, the status line does."""
        if not self._panel.isVisible():
            self._status.show_idle(text)

    def looks_right(self) -> None:
        """Keep the current one as the user's own, or agree that it ended; go to the next."""
        self.finish()
        current, self.current = self.current, None
        if self._bridge is None or current is None:
            return
        session = self._bridge.session
        if current.class_name:
            classes.confirm_class(session, current.object_id, run := session.new_run())
            self.class_confirmed.emit(run)
        else:
            session.confirm(*current.key)
        self.refresh()
        self.next()

    def finish(self) -> None:
        """The correction is done: make it one step, and propagate it from there."""
        bridge, entry = self._bridge, self._correcting or self.current
        if bridge is None or entry is None:
            return
        if any(request.key == entry.key for request in bridge.session.pending()):
            self._correcting, self._is_over = entry, True
            return
        if self._correcting is None:
            return
        self._correcting, self._is_over = None, False
        self._pause.stop()
        number = bridge.session.join_steps(self._since, entry.object_id, "correction")
        if self._panel.by_itself.isChecked():
            self._propagate(bridge, entry, number)
        self.refresh()

    def propagate_frames(self) -> None:
        """Propagate the corrected object to its next annotated frame, or as far as it was."""
        if self._correcting is not None and self._panel.by_itself.isChecked():
            self.finish()
        elif self.current is not None and self._bridge is not None:
            self.finish()
            self._propagate(self._bridge, self.current, None)

    def _propagate(self, bridge: LayerBridge, entry: Entry, number: int | None) -> None:
        n_frames = 0 if entry.is_found else self._reach(bridge.session, entry)
        if n_frames == 0:
            return
        try:
            through = self._propagation.through(entry.axis)
        except SamError as error:
            self._tell(error)
            return
        try:
            steps = plan(
                bridge.session,
                [entry.object_id],
                entry.frame,
                direction=entry.direction,
                n_frames=n_frames,
                axis=entry.axis,
                through=through,
            )
        except SamError:  # it was taken away, or there is no frame that way
            return
        self._propagation.begin(steps, ("propagate", entry.object_id), number=number)

    def _reach(self, session: Session, entry: Entry) -> int | None:
        """How many frames to go: all up to the next anchor, if there is one."""
        sign = 1 if entry.direction == "forward" else -1
        if any(sign * entry.steps_to(frame) > 0 for frame in session.anchors(entry.object_id)):
            return None
        if entry.score is None:
            return self._propagation.reach
        propagated = next(o.frames for o in session.objects() if o.object_id == entry.object_id)
        return max(0, *(sign * entry.steps_to(frame) for frame in propagated))

    # What the user and the runs do

    def _on_landed(self, keys: Sequence[Key]) -> None:
        self._settled.start()
        bridge, entry = self._bridge, self._correcting or self.current
        if bridge is None or entry is None or bridge.is_replaying:
            return
        session = bridge.session
        is_corrected = entry.key in keys and entry.frame in session.anchors(entry.object_id)
        if not is_corrected or any(request.key == entry.key for request in session.pending()):
            return
        self._correcting = entry
        if self._is_over:
            self.finish()
        else:
            self._pause.start()
            self._panel.mark(None, self._about_current())
            self._say(self._about_current())

    def _on_classes(self) -> None:
        self._settled.start()

    def _on_active(self, object_id: int) -> None:
        """The user continues with another object."""
        entry = self._correcting or self.current
        if entry is not None and object_id != entry.object_id:
            self.finish()


def frame_text(frame: FrameIndex) -> str:
    """The position of a frame in its stack: ``3`` or ``3, 12``."""
    return ", ".join(str(i) for i in frame if i is not None)


def _single_shot(parent: QObject, milliseconds: int) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    return timer
