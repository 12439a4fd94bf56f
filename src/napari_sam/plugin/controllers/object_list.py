"""The current object with its candidates, and the list of all objects."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_sam.engine import FrameIndex
from napari_sam.plugin.panels.candidates import candidate_pictures
from napari_sam.plugin.panels.objects import ObjectPanel
from napari_sam.session import Answer, ObjectSummary

from .controller import Controller, Window

if TYPE_CHECKING:
    from napari_sam.plugin.layers.bridge import LayerBridge

MOST_PIXELS_SEARCHED = 2**24  # of a frame, for objects of others; takes a tenth of a second


class ObjectList(Controller):
    """Keeps the list in line with the session, once for many changes.

    Parameters
    ----------
    panel
        Shows it.
    show_diameter
        Given how large objects usually are.
    """

    def __init__(
        self, window: Window, panel: ObjectPanel, show_diameter: Callable[[float | None], None]
    ) -> None:
        super().__init__(window)
        self._found: list[ObjectSummary] | None = []  # in the labels of the shown frame, once read
        self._panel, self._show_diameter = panel, show_diameter
        panel.next_clicked.connect(self.next_object)
        panel.object_clicked.connect(self.select)
        panel.object_taken.connect(self.take)
        panel.candidates.chosen.connect(self.choose_candidate)

    def attach(self, bridge: LayerBridge) -> None:
        """List the objects of a session."""
        self._bridge = bridge
        bridge.frame_changed.connect(self._on_frame)
        bridge.session.landed.connect(self.update)
        bridge.session.relabelled.connect(self._on_relabelled)
        bridge.session.active_changed.connect(self.update)
        bridge.session.classes_changed.connect(self.update)
        bridge.session.reviews_changed.connect(self.update)
        self._on_frame(bridge.frame)

    def detach(self) -> None:
        """Let go of it; its objects stay listed only until the next event."""
        bridge, self._bridge = self._bridge, None
        if bridge is not None:
            bridge.frame_changed.disconnect(self._on_frame)
            bridge.session.landed.disconnect(self.update)
            bridge.session.relabelled.disconnect(self._on_relabelled)
            bridge.session.active_changed.disconnect(self.update)
            bridge.session.classes_changed.disconnect(self.update)
            bridge.session.reviews_changed.disconnect(self.update)
            self.update()

    def update(self, *_: object) -> None:
        """Bring the panel in line with the session, a moment later."""
        self._defer(self._refresh)

    def _refresh(self) -> None:
        if self._bridge is None:
            self._panel.show_none()
            return
        session = self._bridge.session
        self._panel.show_active(session.active, self._bridge.labels.get_color(session.active))
        known = session.objects()
        ids = {each.object_id for each in known}
        if self._found is None:
            self._found = self._find(self._bridge.frame)
        found = [each for each in self._found if each.object_id not in ids]
        listed = sorted([*known, *found], key=lambda each: each.object_id)
        self._bridge.colours.know(each.object_id for each in listed)
        self._panel.show_objects(listed, session.active, session.classes, session.reviews)
        self._show_diameter(session.usual_diameter)
        self._bridge.outline.show(self._bridge.region_shown(session.active), self._bridge.frame)
        answer = self._shown_answer()
        if answer is None:
            self._panel.candidates.show_candidates([], [], 0)
            return
        prediction = answer.prediction
        self._panel.candidates.show_candidates(
            candidate_pictures(answer.picture, prediction.low_res_logits),
            [float(score) for score in prediction.iou_predictions],
            prediction.best,
        )

    def _on_frame(self, frame: FrameIndex | None) -> None:
        self._found = None
        self.update()

    def _on_relabelled(self) -> None:
        self._on_frame(None)

    def _find(self, frame: FrameIndex | None) -> list[ObjectSummary]:
        """What is in the labels of a frame, from any source."""
        if self._bridge is None or frame is None:
            return []
        session = self._bridge.session
        if math.prod(session.stack.frame_shape_of(frame)) > MOST_PIXELS_SEARCHED:
            return []
        return [ObjectSummary(each, (frame,), None, 0) for each in session.ids_in(frame)]

    # What the user does

    def next_object(self) -> None:
        """Begin a new object."""
        if self._bridge is not None:
            self._bridge.next_object()

    def select(self, object_id: int) -> None:
        """Select an object, and show a frame that holds it."""
        self.take(object_id)
        if self._bridge is not None:
            self._bridge.go_to(object_id)

    def take(self, object_id: int) -> None:
        """Select an object; the frame stays."""
        if self._bridge is not None:
            self._bridge.select(object_id)

    def next_candidate(self) -> None:
        """Choose the next candidate."""
        shown = self._shown_answer()
        if shown is not None:
            n_candidates = len(shown.prediction.tokens)
            self.choose_candidate((shown.prediction.best + 1) % n_candidates)

    def choose_candidate(self, position: int) -> None:
        """Take one of the candidates shown."""
        shown = self._shown_answer()
        if self._bridge is not None and shown is not None:
            token = shown.prediction.tokens[position]
            self._bridge.session.choose(*shown.request.key, token)

    def _shown_answer(self) -> Answer | None:
        """The latest answer for the current object in the frame shown."""
        if self._bridge is None or self._bridge.frame is None:
            return None
        return self._bridge.session.answer(self._bridge.session.active, self._bridge.frame)
