"""The tool panel ↔ the tools of the prompt layers."""

from __future__ import annotations

from napari_sam.plugin.layers import LayerBridge
from napari_sam.plugin.panels.tools import ToolPanel

from .controller import Controller, Window


class ToolChoice(Controller):
    """Makes tools and switches of the panel hold in the layers, and shows the active tool."""

    def __init__(self, window: Window, panel: ToolPanel) -> None:
        super().__init__(window)
        self._panel = panel
        panel.tool_clicked.connect(self.use_tool)
        for switch in (panel.negative, panel.single, panel.protect):
            switch.toggled.connect(self._apply_switches)

    def attach(self, bridge: LayerBridge) -> None:
        """Work on the layers of an image."""
        super().attach(bridge)
        self._apply_switches()
        bridge.tools.changed.connect(self._panel.show_tool)
        self._panel.show_tool(bridge.tools.active)

    def detach(self) -> None:
        """Let go of them."""
        if self._bridge is not None:
            self._bridge.tools.changed.disconnect(self._panel.show_tool)
        super().detach()

    def use_tool(self, tool: str) -> None:
        """Make a tool the active one."""
        if self._bridge is not None:
            self._bridge.use(tool)
            self._panel.show_tool(tool)

    def _apply_switches(self, _: bool = False) -> None:
        if self._bridge is not None:
            self._bridge.set_negative(self._panel.negative.isChecked())
            self._bridge.set_one_object_per_prompt(self._panel.single.isChecked())
            self._bridge.set_protected(self._panel.protect.isChecked())
