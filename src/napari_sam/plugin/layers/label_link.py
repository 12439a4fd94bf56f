"""Session ↔ napari's labels: what is written there, and what the user paints there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_sam.engine import FrameIndex
from napari_sam.session import Session, read_frame, with_room

from .deferring import Defer, at_once
from .levels import finest, levels_of, show_array
from .prompt_layers import axes_of

Indices: TypeAlias = tuple[Any, ...]  # an array for each axis of the labels


class LabelLink:
    """Writes what a session decides into a Labels layer, and tells it what is painted there.

    Parameters
    ----------
    shown
        Gives the frame on screen.
    defer
        Runs a function a moment later, and once if it is asked several times.
    tell
        Given what the user must know, in sentences.
    """

    def __init__(
        self,
        labels: Labels,
        session: Session,
        shown: Callable[[], FrameIndex | None],
        defer: Defer,
        tell: Callable[[str], None],
    ) -> None:
        self._labels, self._session = labels, session
        self._shown, self._defer, self._tell = shown, defer, tell
        self._writing: Indices | None = None  # what is written just now, through napari's history
        self._amid_stroke: list[Indices] = []  # what was while the user was painting
        self._is_refreshing = False
        self._ids_are_known = False  # of the frame on screen
        session.write, session.widen, session.knows_ids = self.write, self.promote, self.knows_ids
        session.writes_alone = labels.multiscale  # napari lets nobody paint there
        labels.events.paint.connect(self._on_paint)
        labels.events.set_data.connect(self._on_redrawn)

    def close(self) -> None:
        """Disconnect from the layer. The session can still write to it."""
        self._labels.events.paint.disconnect(self._on_paint)
        self._labels.events.set_data.disconnect(self._on_redrawn)
        self._session.knows_ids = lambda frame: False
        # The session keeps this object: it must not keep a window
        self._shown, self._defer, self._tell = (lambda: None), at_once, (lambda sentence: None)

    def write(self, indices: Indices, values: NDArray[Any]) -> None:
        """Write pixels through napari's own history; beside it a window, what is not on screen, or
        at several resolutions.

        Of pixels napari says "paint" at once, or with the stroke that the user is in.
        """
        frame = self._shown()
        is_seen = frame is None or _crosses(indices, frame)
        is_window = any(isinstance(at, slice) for at in indices)
        levels = levels_of(self._labels, self._session.stack.displayed)
        if levels is not None or not is_seen or is_window or not self._is_sliced():
            write = self._labels.data.__setitem__ if levels is None else levels.write
            write(indices, values)
            if is_seen:
                self._defer(self._refresh)
            return
        self._writing = indices
        try:
            self._labels.data_setitem(indices, values)
        finally:
            self._amid_stroke += [] if self._writing is None else [indices]
            self._writing = None

    def _is_sliced(self) -> bool:
        """Whether napari shows a frame; until labels that were moved are put back, it may not."""
        shape = self._labels.data.shape
        shown = [shape[axis] for axis in self._labels._slice_input.displayed]
        return sorted(shown) == sorted(self._labels._slice.image.view.shape)

    def _refresh(self) -> None:
        self._is_refreshing = True
        try:
            self._labels.refresh(extent=False, highlight=False)
        finally:
            self._is_refreshing = False

    def _on_paint(self, event: Any) -> None:
        """A stroke of napari's brush, bucket or polygon; masks landed meanwhile are left out."""
        own, self._amid_stroke = self._amid_stroke, []
        if self._writing is not None:
            self._writing = None
            return
        strokes = [_stroke(atom, self._session.stack.shape) for atom in event.value]
        by_hand = [stroke for stroke in strokes if not any(_same(stroke[0], i) for i in own)]
        self._session.note_ids(self._labels.selected_label)
        frame = self._shown()
        self._session.note_stroke(by_hand, None if frame is None else axes_of(frame))

    def _on_redrawn(self, event: object = None) -> None:
        """Another frame is shown, or somebody changed the array and had it shown."""
        self._ids_are_known = self._ids_are_known and self._is_refreshing

    def note_ids(self) -> None:
        """Learn of ids that others wrote into the frame on screen, if they may have."""
        frame = self._shown()
        if not (frame is None or self._ids_are_known or self._session.writes_alone):
            self._session.note_ids(int(np.max(read_frame(self._labels.data, frame), initial=0)))
            self._ids_are_known = True

    def knows_ids(self, frame: FrameIndex) -> bool:
        """Whether the session knows all ids in a frame: it does in the one on screen."""
        if self._session.writes_alone:
            return True
        if frame != self._shown():
            return False
        self.note_ids()
        return True

    def promote(self, object_id: int) -> None:
        """Widen the labels' type where an id would not fit; napari's undo history starts again."""
        before = finest(self._labels)
        wide = with_room(before, object_id)
        if wide.array is not before:
            self._session.labels = wide.array
            show_array(self._labels, wide.array, self._session.stack.displayed)
            if wide.notice:
                self._tell(wide.notice)


def _crosses(indices: Indices, frame: FrameIndex) -> bool:
    """Whether some of what is indexed is in a frame."""
    for at, position in zip(indices, frame, strict=True):
        if position is not None:
            there = at.start <= position < at.stop if isinstance(at, slice) else at == position
            if not np.any(there):
                return False
    return True


def _stroke(atom: Any, shape: tuple[int, ...]) -> tuple[Indices, Any, Any]:
    """Indices and values before and after of what napari keeps of a stroke.

    Since napari 0.9 it is a window, a mask in it, the values before, and the label painted.
    """
    if not hasattr(atom, "slice_key"):
        indices, before, after = atom
        return indices, before, after
    spans = [range(*part.indices(n)) for part, n in zip(atom.slice_key, shape, strict=True)]
    window = tuple(len(span) for span in spans)
    mask = np.ones(window, bool) if atom.mask is None else np.reshape(atom.mask, window)
    places = zip(np.nonzero(mask), spans, strict=True)
    return tuple(at + span.start for at, span in places), np.ravel(atom.old_values), atom.new_value


def _same(indices: Indices, others: Indices) -> bool:
    return all(np.array_equal(*pair) for pair in zip(indices, others, strict=True))
