"""The base class of all controllers, and the window that they use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari.components import ViewerModel
from qtpy.QtCore import QObject

from napari_sam.engine import EmbeddingCache
from napari_sam.plugin.layers import LayerBridge
from napari_sam.plugin.layers.deferring import Defer
from napari_sam.plugin.panels.status import StatusPanel
from napari_sam.plugin.work.jobs import Worker

if TYPE_CHECKING:
    from napari_sam.engine import Predictor


@dataclass(frozen=True, eq=False)
class Window:
    """The parts of the window that a controller may use."""

    viewer: ViewerModel  # the raw one, not a proxy
    worker: Worker  # computes; its thread owns the cache
    cache: EmbeddingCache
    status: StatusPanel
    tell: Callable[[Exception], None]  # what went wrong
    defer: Defer  # runs a function when napari is done with its own event, once if asked twice


class Controller(QObject):
    """One capability of the window. It works on the layers it is attached to, if any."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.predictor: Predictor | None = None
        self._bridge: LayerBridge | None = None
        self._viewer, self._worker, self._cache = window.viewer, window.worker, window.cache
        self._status, self._tell, self._defer = window.status, window.tell, window.defer

    def attach(self, bridge: LayerBridge) -> None:
        """Work on the layers of an image."""
        self._bridge = bridge

    def detach(self) -> None:
        """Let go of them."""
        self._bridge = None

    def release(self) -> None:
        """Keep no image and no model alive: Qt may keep the object itself for longer."""
        self._bridge = self.predictor = None

    def use(self, predictor: Predictor) -> None:
        """Work with another model from now on."""
        self.predictor = predictor
