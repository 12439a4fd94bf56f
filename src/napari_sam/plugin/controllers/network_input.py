"""Contrast and channels for the network: chosen in the panel, followed in the layer."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import QTimer, Signal

from napari_sam.plugin.layers import LayerBridge
from napari_sam.plugin.layers.network_input import (
    NetworkInput,
    axis_names,
    input_of,
    n_channels,
)
from napari_sam.plugin.panels.network_input import InputButton

from .controller import Controller, Window

SETTLE_MS = 500  # time after the last move of the contrast slider before frames are embedded again


class InputChoice(Controller):
    """Keeps button and image alike.

    Parameters
    ----------
    button
        Shows what is given, and asks for something else.
    """

    axis_chosen = Signal(object)  # the axis that holds channels, or None: labels have another shape

    def __init__(self, window: Window, button: InputButton) -> None:
        super().__init__(window)
        self._button = button
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLE_MS)
        self._settled.timeout.connect(self._look_again)
        button.contrast_chosen.connect(self._choose_contrast)
        button.channels_chosen.connect(self._choose_channels)
        button.axis_chosen.connect(self._choose_axis)

    def attach(self, bridge: LayerBridge) -> None:
        """Show what is given of an image."""
        super().attach(bridge)
        bridge.image.events.contrast_limits.connect(self._on_limits)
        self._show(bridge)

    def detach(self) -> None:
        """Let go of it."""
        if self._bridge is not None:
            self._bridge.image.events.contrast_limits.disconnect(self._on_limits)
        self._settled.stop()
        super().detach()

    def _show(self, bridge: LayerBridge) -> None:
        image, given = bridge.image, input_of(bridge.image)
        n = n_channels(image)
        self._button.show_input(
            as_shown=None if image.rgb else given.as_shown,
            axes=[] if image.rgb or image.ndim < 3 else axis_names(image),
            channel_axis=given.channel_axis,
            n_channels=n,
            channels=given.channels or range(n),
            mean=given.mean,
        )

    def _choose_contrast(self, as_shown: bool) -> None:
        if self._bridge is not None:
            self._give(self._bridge, replace(input_of(self._bridge.image), as_shown=as_shown))

    def _choose_channels(self, channels: tuple[int, ...], mean: bool) -> None:
        if self._bridge is None:
            return
        n = n_channels(self._bridge.image)
        channels = () if len(channels) == n else channels
        given = replace(input_of(self._bridge.image), channels=channels, mean=mean)
        self._give(self._bridge, given)

    def _give(self, bridge: LayerBridge, given: NetworkInput) -> None:
        bridge.give(given)
        self._show(bridge)

    def _choose_axis(self, axis: int | None) -> None:
        if self._bridge is not None and axis != input_of(self._bridge.image).channel_axis:
            self.axis_chosen.emit(axis)

    def _on_limits(self, event: object = None) -> None:
        if self._bridge is not None and input_of(self._bridge.image).as_shown:
            self._settled.start()

    def _look_again(self) -> None:
        if self._bridge is not None:
            self._bridge.give(input_of(self._bridge.image))
