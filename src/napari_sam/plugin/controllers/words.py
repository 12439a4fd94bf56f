"""What is looked for by words: a detector is fetched, looks, and its boxes are prompts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam.engine import (
    DetectorEntry,
    PromptError,
    PromptSet,
    detector_state,
    known_detectors,
)
from napari_sam.plugin.panels.prompting import PromptPanel
from napari_sam.plugin.work import words as tasks
from napari_sam.plugin.work.jobs import BULK, Job, Worker

from .controller import Controller, Window
from .prompting import Prompting

if TYPE_CHECKING:
    from napari_sam.engine import TextDetector
    from napari_sam.plugin.layers.bridge import LayerBridge

LOOK_FOR, FETCH = "look for words", "fetch a detector"  # job slots
NOTHING_SAID = 'Write what to look for, in a word or a few: "nucleus".'
NO_FRAME = "Another view of the stack is shown. Go back to its frames, or look in all of them."


class Words(Controller):
    """Has a detector look for what some words name, and offers its boxes as prompts.

    Parameters
    ----------
    panel
        Where prompts come from; words are one of its sources.
    downloads
        The thread that fetches.
    prompting
        Shows what was found, and has it segmented.
    """

    def __init__(
        self, window: Window, panel: PromptPanel, downloads: Worker, prompting: Prompting
    ) -> None:
        super().__init__(window)
        self._panel, self._downloads, self._prompting = panel.words, downloads, prompting
        self._loaded: dict[str, TextDetector] = {}  # the last one, by what it was chosen by
        self.is_busy = False  # whether a detector is looking
        panel.words_chosen.connect(self._list)
        for another_source in (panel.layer_chosen, panel.file_chosen):
            another_source.connect(lambda _: self.stop())
        self._panel.detector_chosen.connect(self._choose)
        self._panel.fetch_clicked.connect(self.fetch)
        self._panel.look_clicked.connect(self.find)

    def attach(self, bridge: LayerBridge) -> None:
        """Look in the frames of an image."""
        super().attach(bridge)
        stack = bridge.session.stack
        has_more = any(n > 1 for a, n in enumerate(stack.shape) if a not in stack.displayed)
        self._panel.where.setEnabled(has_more)
        if not has_more:
            self._panel.where.setCurrentIndex(0)

    def detach(self) -> None:
        """Let go of the image."""
        self.stop()
        super().detach()

    def release(self) -> None:
        """Keep no detector alive either."""
        super().release()
        self._loaded = {}

    def stop(self) -> None:
        """Cancel looking; nothing has landed yet."""
        self._worker.cancel(LOOK_FOR)
        if self.is_busy:
            self._end("Cancelled.")

    # Detectors

    def _list(self) -> None:
        entries = [(entry.name, entry.name) for entry in known_detectors()]
        self._panel.show_detectors(entries, self._panel.detector.currentData() or "")
        self._choose()

    def _choose(self) -> None:
        entry = self._entry()
        if entry is None:
            self._panel.show_detector("A folder as transformers saves a detector.", "")
            return
        is_here = detector_state(entry) != "to fetch"
        here = "On this computer" if is_here else f"{entry.size} to fetch from the internet"
        about = f"{entry.about} {here}; licence: {entry.licence}."
        self._panel.show_detector(about, "" if is_here else f"Fetch {entry.name} ({entry.size})")

    def _entry(self) -> DetectorEntry | None:
        """The chosen one; ``None``: it is a folder."""
        name = self._panel.detector.currentData()
        return next((entry for entry in known_detectors() if entry.name == name), None)

    def fetch(self) -> None:
        """Fetch the chosen detector."""
        entry = self._entry()
        if entry is None:
            return
        self._status.show_busy(f"Fetching {entry.name} ({entry.size}) …")
        job = Job(
            FETCH,
            partial(tasks.fetch, entry.name),
            done=lambda _: self._on_fetched(entry.name),
            failed=self._tell,
            progress=partial(self._status.show_fetching, entry.name),
        )
        self._downloads.submit(job)

    def _on_fetched(self, name: str) -> None:
        self._status.show_idle(f"{name} is on this computer now.")
        self._choose()

    # Looking

    def find(self) -> None:
        """Look for the words that were written."""
        bridge, phrases = self._bridge, self._panel.phrases()
        if bridge is None or not self._panel.look.isEnabled():
            return
        frame = self._prompting.frame
        in_stack = self._panel.where.currentData() == "stack"
        if not phrases or (not in_stack and frame is None):
            self._tell(PromptError(NO_FRAME if phrases else NOTHING_SAID))
            return
        name = str(self._panel.detector.currentData())
        frames = None if in_stack or frame is None else [frame]
        session = bridge.session
        self.is_busy = True
        self._panel.look.setEnabled(False)
        self._status.show_busy(f"Loading {Path(name).name} …")
        job = Job(
            LOOK_FOR,
            partial(
                tasks.look_for,
                phrases,
                self._loaded.get(name, name),
                session.stack,
                frames,
                session.cell_diameter,
            ),
            done=partial(self._on_found, name),
            failed=self._on_failed,
            progress=lambda done, total: self._status.show_busy(
                f"Looking for {', '.join(phrases)}: {done} of {total} …", done, total
            ),
            priority=BULK,
        )
        self._worker.submit(job)

    def _on_found(self, name: str, found: tuple[TextDetector, PromptSet]) -> None:
        detector, prompts = found
        self._loaded = {name: detector}
        self._end(f"{detector.name} has found {len(prompts)}. Choose the lowest score that counts.")
        self._prompting.offer(prompts, detector.usual_threshold)

    def _on_failed(self, error: Exception) -> None:
        self._end()
        self._tell(error)

    def _end(self, said: str = "") -> None:
        self.is_busy = False
        self._panel.look.setEnabled(True)
        self._status.show_idle(said)
