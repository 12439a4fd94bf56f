"""A Tracks layer and a features table that follow the session."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Tracks
from numpy.typing import NDArray
from qtpy.QtCore import QTimer, Signal

from napari_sam.engine import REVIEW_COLUMNS
from napari_sam.plugin.layers.bridge import LayerBridge
from napari_sam.plugin.layers.own_layers import new_tracks, place_like
from napari_sam.session import Annotation, Session
from napari_sam.stacks.tracking import find_tracks

from .controller import Controller, Window

if TYPE_CHECKING:
    import pandas as pd
    from psygnal import SignalInstance

SETTLE_MS = 400  # time without new masks before layer and table are updated; not with the review
AT_ONCE_S = 0.02  # time to read labels before the window is updated
PAUSE = 5  # times what drawing the tracks took is waited before the next time
SHAPES = (3, 4)  # numbers of axes that a Tracks layer can show
COLUMNS: dict[str, tuple[type, object]] = {  # of the features table: type, and of the background
    "index": (np.int64, 0),  # the id
    "score": (float, np.nan),
    "stability": (float, np.nan),
    "model": (object, ""),
    "source": (object, ""),  # the user, other frames, or automatic segmentation
    "prompts": (np.int64, 0),
    "frames": (np.int64, 0),
    "parent": (object, ""),
    "class": (object, ""),
    "class_probability": (float, np.nan),
    **dict.fromkeys(REVIEW_COLUMNS, (object, "")),
}


class TracksView(Controller):
    """Where the objects were, and what divided into what: read frame by frame, in small pieces.

    Only frames that were changed since are read again.
    """

    removed = Signal()  # the user deleted the layer

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.layer: Tracks | None = None
        self.shown = False
        self._rows: dict[int, NDArray[np.float64]] = {}  # by position on the first axis
        self._to_read: list[int] = []
        self._seen = -1  # the last change of the session that was read
        self._tabled = -1  # and that is in the table
        self._settled, self._reading = QTimer(self), QTimer(self)
        for timer, milliseconds, action in (
            (self._settled, SETTLE_MS, self.update),
            (self._reading, 0, self._read_on),
        ):
            timer.setSingleShot(True)
            timer.setInterval(milliseconds)
            timer.timeout.connect(action)

    def attach(self, bridge: LayerBridge) -> None:
        """Follow the session of an image."""
        self._bridge, self._seen, self._tabled = bridge, -1, -1
        self._rows.clear()
        for signal in _changes(bridge):
            signal.connect(self._on_change)
        bridge.viewer.layers.events.removed.connect(self._on_removed)
        self.update()

    def detach(self) -> None:
        """Let go of it; the layer goes, the features stay with the labels."""
        bridge, self._bridge = self._bridge, None
        if bridge is None:
            return
        self._settled.stop()
        self._reading.stop()
        for signal in _changes(bridge):
            signal.disconnect(self._on_change)
        bridge.viewer.layers.events.removed.disconnect(self._on_removed)
        self._remove(bridge)

    def show(self, on: bool) -> None:
        """Show the layer, or take it away."""
        self.shown = on
        if on:
            self.update()
        elif self._bridge is not None:
            self._remove(self._bridge)

    def update(self) -> None:
        """Bring table and layer in line with the session."""
        bridge = self._bridge
        if bridge is None:
            return
        if self._tabled < bridge.session.n_changes:
            self._tabled = bridge.session.n_changes
            bridge.labels.features = features_of(bridge.session)
        if self.shown and bridge.session.stack.ndim in SHAPES:
            self._to_read = _changed_since(bridge.session, self._seen)
            self._seen = bridge.session.n_changes
            self._read_on()

    def _on_change(self, *_: object) -> None:
        if self._bridge is not None and self._tabled < self._bridge.session.n_changes:
            self._settled.start()

    def _read_on(self) -> None:
        """Read some of the labels; when all is read, draw."""
        bridge = self._bridge
        if bridge is None:
            return
        end = perf_counter() + AT_ONCE_S
        while self._to_read and perf_counter() < end:
            position = self._to_read.pop()
            rows = find_tracks(bridge.session.labels[position : position + 1]).data
            rows[:, 1] = position
            self._rows[position] = rows
        if self._to_read:
            self._reading.start()
        else:
            self._draw(bridge)

    def _draw(self, bridge: LayerBridge) -> None:
        data = np.concatenate(list(self._rows.values())) if self._rows else np.zeros((0, 4))
        if not len(data):
            self._remove(bridge)
            return
        began = perf_counter()
        if self.layer is None:
            self.layer = new_tracks(bridge.image, data)
            active = bridge.viewer.layers.selection.active
            bridge.viewer.layers.append(self.layer)
            bridge.viewer.layers.selection.active = active  # the tool stays selected
            began = perf_counter()  # the next time it is there
        else:
            place_like(self.layer, bridge.image)
            self.layer.data = data
        there = set(data[:, 0].astype(int).tolist())
        parents = {
            child: [parent for parent in its if parent in there]
            for child, its in bridge.session.parents.items()
            if child in there
        }
        self.layer.graph = {child: its for child, its in parents.items() if its}
        took_ms = round(1000 * (perf_counter() - began))
        self._settled.setInterval(max(SETTLE_MS, PAUSE * took_ms))

    def _remove(self, bridge: LayerBridge) -> None:
        layer, self.layer = self.layer, None
        if layer is not None and layer in bridge.viewer.layers:
            bridge.viewer.layers.remove(layer)

    def _on_removed(self, event: object) -> None:
        if self.layer is not None and getattr(event, "value", None) is self.layer:
            self.layer = None
            self.removed.emit()


def features_of(session: Session) -> pd.DataFrame:
    """Properties of the objects, one row each; ``index`` is the id in the labels."""
    import pandas as pd

    known: dict[int, list[Annotation]] = {}
    for (object_id, _), annotation in session.annotations():
        if annotation.footprint.landed:
            known.setdefault(object_id, []).append(annotation)
    ids = sorted({*known, *session.classes.given, *session.reviews})
    columns = zip(*(_row(session, i, known.get(i, [])) for i in ids), strict=True)
    filled = dict(zip(COLUMNS, columns, strict=False))
    return pd.DataFrame(
        {
            name: np.array([background, *filled.get(name, ())], kind)  # 0 is the background
            for name, (kind, background) in COLUMNS.items()
        }
    )


def _row(session: Session, object_id: int, annotations: list[Annotation]) -> tuple[object, ...]:
    """What the table says of an object."""
    given, review = session.classes.of(object_id), session.reviews.get(object_id)
    return (
        object_id,
        _lowest([_score(each) for each in annotations]),
        _lowest([each.stability for each in annotations]),
        ", ".join(sorted({each.model for each in annotations} - {""})),
        ", ".join(sorted({_source(each) for each in annotations})),
        sum([len(each.drawings) for each in annotations]),
        len(annotations),
        " ".join(map(str, session.parents.get(object_id, ()))),
        "" if given is None else given.name,
        np.nan if given is None or given.probability is None else given.probability,
        *("" if review is None else review.columns[name] for name in REVIEW_COLUMNS),
    )


def _source(annotation: Annotation) -> str:
    if annotation.found_by:
        return "automatic"
    return "user" if annotation.source is None else "propagated"


def _score(annotation: Annotation) -> float | None:
    return annotation.iou_prediction if annotation.score is None else annotation.score


def _lowest(scores: list[float | None]) -> float:
    return min((score for score in scores if score is not None), default=np.nan)


def _changed_since(session: Session, number: int) -> list[int]:
    """Positions on the first axis whose labels may have changed since; all at first."""
    n = session.stack.shape[0]
    changed = {frame[0] for frame, change in session.changed.items() if change > number}
    if number < 0 or None in changed:
        return list(range(n))
    return sorted(position for position in changed if position is not None)


def _changes(bridge: LayerBridge) -> tuple[SignalInstance, ...]:
    """What is emitted when objects, their ids, parents, classes or reviews may have changed."""
    session = bridge.session
    return (
        bridge.frame_changed,
        session.landed,
        session.relabelled,
        session.parents_changed,
        session.classes_changed,
        session.reviews_changed,
    )
