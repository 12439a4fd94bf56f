"""Which image of a file that holds several is annotated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from napari.layers import Image

from napari_sam.plugin.layers import LayerBridge
from napari_sam.plugin.panels.source import SourcePanel
from napari_sam.plugin.sessions.images import PIXEL, image_arguments
from napari_sam.plugin.sessions.places import SERIES, image_file
from napari_sam.plugin.work.jobs import PREFETCH, Job

from .controller import Controller, Window

LIST, READ = "list series", "read a series"  # job slots
Sizes: TypeAlias = dict[str, tuple[float, str]]  # of pixels, by axis
OPENS_THE_FIRST = (None, "napari")  # readers; others may show all images of a file


class SeriesChoice(Controller):
    """Lists the images of the annotated file, and opens another one as a layer.

    Parameters
    ----------
    panel
        Shows them.
    """

    def __init__(self, window: Window, panel: SourcePanel) -> None:
        super().__init__(window)
        self._panel = panel
        panel.series.activated.connect(self._choose)

    def attach(self, bridge: LayerBridge) -> None:
        """See what else there is in the file of an image."""
        super().attach(bridge)
        self._panel.show_series([], 0)
        file, image = image_file(bridge.image), bridge.image
        knows_series = SERIES in image.metadata or image.source.reader_plugin in OPENS_THE_FIRST
        if file is None or not knows_series:
            return
        done = partial(self._show, bridge)
        failed = partial(self._show, bridge, ())  # napari could open it: there is nothing to say
        self._worker.submit(
            Job(LIST, lambda report: _names(file), done, lambda error: failed(), priority=PREFETCH)
        )

    def detach(self) -> None:
        """Let go of it."""
        for slot in (LIST, READ):
            self._worker.cancel(slot)
        self._panel.show_series([], 0)
        super().detach()

    def _show(self, bridge: LayerBridge, names: Sequence[str]) -> None:
        if bridge is self._bridge:
            self._panel.show_series(names, bridge.image.metadata.get(SERIES, 0))

    def _choose(self, number: int) -> None:
        """Open another one, or show it where it is open."""
        bridge = self._bridge
        file = None if bridge is None else image_file(bridge.image)
        if bridge is None or file is None or number == bridge.image.metadata.get(SERIES, 0):
            return
        layers = self._viewer.layers
        for layer in layers:
            is_image = isinstance(layer, Image) and image_file(layer) == file
            if is_image and layer.metadata.get(SERIES, 0) == number:
                layers.move(layers.index(layer), len(layers))
                layers.selection.active = layer
                return
        done = partial(self._add, file, number)
        sized = any(str(unit) != PIXEL for unit in bridge.image.units)
        self._worker.submit(Job(READ, lambda report: _read(file, number, sized), done, self._tell))

    def _add(self, file: Path, number: int, found: tuple[Any, str | None, Sizes | None]) -> None:
        data, axes, scales = found
        about = image_arguments(file, data, axes, series=number, scales=scales)
        self._viewer.layers.append(Image(**about))


def _names(file: Path) -> list[str]:
    from napari_sam.engine import list_series  # brings in zarr, which a new panel need not

    return [" ".join(filter(None, (each.name, each.about))) for each in list_series(file)]


def _read(file: Path, number: int, sized: bool) -> tuple[Any, str | None, Sizes | None]:
    """Its pixels and axes, and where the image shown has units, the sizes of its pixels."""
    from napari_sam.engine import read_image, read_scales

    return *read_image(file, series=number), read_scales(file, number) if sized else None
