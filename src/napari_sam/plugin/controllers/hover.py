"""The mask that a click would give, shown under the cursor before it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox

from napari_sam.engine import FrameIndex
from napari_sam.plugin.work import tasks
from napari_sam.plugin.work.jobs import PREVIEW, Job
from napari_sam.session import Region

from .controller import Controller, Window

if TYPE_CHECKING:
    from napari_sam.plugin.layers.bridge import LayerBridge

HOVER = "hover"  # job slot


class Hover(Controller):
    """Decodes a preview at the cursor, after all real requests.

    Parameters
    ----------
    switch
        Turns it on and off.
    """

    def __init__(self, window: Window, switch: QCheckBox) -> None:
        super().__init__(window)
        self._switch = switch
        switch.toggled.connect(self._hide)

    def attach(self, bridge: LayerBridge) -> None:
        """Follow the cursor over an image."""
        self._bridge = bridge
        bridge.cursor_moved.connect(self._on_cursor)

    def detach(self) -> None:
        """Let go of it."""
        bridge, self._bridge = self._bridge, None
        if bridge is not None:
            bridge.cursor_moved.disconnect(self._on_cursor)
            self._worker.cancel(HOVER)

    def _on_cursor(self, point_yx: tuple[float, float] | None) -> None:
        bridge = self._bridge
        if bridge is None or self.predictor is None or not self._switch.isChecked():
            return
        frame = bridge.frame
        if point_yx is None or frame is None:
            self._hide()
            return
        session = bridge.session
        known = (session.expected_diameter, session.seen)
        work = partial(tasks.preview, self._cache, self.predictor, session.stack)
        job = Job(
            HOVER,
            partial(work, frame, point_yx, *known),
            done=partial(self._show, frame),
            failed=self._tell,
            priority=PREVIEW,
        )
        self._worker.submit(job)

    def _show(self, frame: FrameIndex, region: Region) -> None:
        bridge = self._bridge
        if bridge is not None and bridge.frame == frame and self._switch.isChecked():
            bridge.show_preview(region)

    def _hide(self, _: object = None) -> None:
        self._worker.cancel(HOVER)
        if self._bridge is not None:
            self._bridge.show_preview(Region.empty())
