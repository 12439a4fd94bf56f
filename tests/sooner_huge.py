"""Small images searched tile by tile by workers: a module of its own, which they can import."""

from __future__ import annotations

from distributed import WorkerPlugin

from napari_sam.batch import huge


class LargeIsHuge(WorkerPlugin):
    """For every worker, those that come later included, an image is huge earlier."""

    name = "large-is-huge"
    pixels = 50_000

    def __init__(self) -> None:
        self._usual = huge.HUGE

    def setup(self, worker: object) -> None:
        huge.HUGE = self.pixels

    def teardown(self, worker: object) -> None:
        huge.HUGE = self._usual
