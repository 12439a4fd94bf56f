"""napari's events while prompts are drawn, moved, pasted and deleted."""

from __future__ import annotations

from typing import Any

from psygnal import Signal

from .prompt_layers import PromptLayers
from .tools import Tools

UNFINISHED = ("adding", "changing", "removing")  # before a change of data is done


class PromptEvents:
    """Tells finished changes of the prompt layers from those in the making."""

    changed = Signal()  # rows were added, removed or moved
    clicked = Signal()  # a box or an ellipse was begun and not dragged

    def __init__(self, prompts: PromptLayers, tools: Tools) -> None:
        self.is_drawing = (
            False  # a shape was begun: napari cannot change the frame until it is done
        )
        self._prompts, self._tools = prompts, tools
        for layer in (prompts.points, prompts.shapes):
            layer.events.data.connect(self._on_data)
            layer.events.features.connect(self._on_features)

    def _on_data(self, event: Any) -> None:
        action, is_shape = getattr(event, "action", ""), event.source is self._prompts.shapes
        self.is_drawing = action == "adding" and is_shape
        if self._prompts.is_filling or action in UNFINISHED:
            return
        if action == "added" and is_shape and self._tools.was_click:
            self._tools.was_click = False
            self.clicked.emit()
        else:
            self.changed.emit()

    def _on_features(self, event: object = None) -> None:
        """For pasted rows, napari only reports that the features have changed."""
        if not self._prompts.is_filling and not self.is_drawing:
            self.changed.emit()
