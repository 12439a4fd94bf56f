"""Which model: listed, fetched, loaded; the one in use stays until another one is there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from napari_sam.engine import ModelEntry, known_models, model_state
from napari_sam.plugin.panels.source import SourcePanel
from napari_sam.plugin.panels.status import StatusPanel
from napari_sam.plugin.work import tasks
from napari_sam.plugin.work.jobs import Job, Worker

if TYPE_CHECKING:
    from napari_sam.engine import Predictor

DEFAULT_MODEL = "pocket"
MODEL, FETCH = "model", "fetch"  # job slots
STATE_TEXT = {
    "embedded": "Embedded, works offline",
    "here": "On this computer",
    "elsewhere": "On this computer, from another tool",
}


class ModelChoice(QObject):
    """Loads the model that is chosen, or offers to fetch it first.

    Parameters
    ----------
    panel, status
        The models to choose from; what is going on.
    worker, downloads
        The thread that loads, and the one that fetches.
    tell
        Given what went wrong.
    """

    loaded = Signal(object)  # Predictor

    def __init__(
        self,
        panel: SourcePanel,
        status: StatusPanel,
        worker: Worker,
        downloads: Worker,
        tell: Callable[[Exception], None],
    ) -> None:
        super().__init__()
        self._panel, self._status = panel, status
        self._worker, self._downloads, self._tell = worker, downloads, tell
        self._in_use = ""
        self.loaded.connect(self._on_loaded)
        panel.model.activated.connect(self.choose)
        panel.fetch_clicked.connect(self.fetch)
        panel.open_clicked.connect(self._open)

    def show(self, chosen: str = DEFAULT_MODEL) -> None:
        """List the models there are, one of them chosen."""
        models = known_models()
        self._panel.model.clear()
        for entry in models:
            state = model_state(entry)
            text = entry.name if state != "to fetch" else f"{entry.name}  ·  {entry.size} to fetch"
            self._panel.model.addItem(text, entry)
        self._panel.model.setCurrentIndex([entry.name for entry in models].index(chosen))

    def choose(self, _: int = 0) -> None:
        """Load the chosen model, or offer to fetch it."""
        entry = self._entry()
        state = model_state(entry)
        text = STATE_TEXT.get(state, f"{entry.size} to fetch from the internet")
        about = f"{entry.suits} {text}; {entry.licence}."
        if state == "to fetch" and self._in_use:
            about = f"{self._in_use} is used until {entry.name} is downloaded. {about}"
        self._panel.about.say(about)
        self._panel.fetch.setText(f"Fetch {entry.name} ({entry.size})")
        self._panel.fetch.setVisible(state == "to fetch")
        if state != "to fetch":
            self.load(entry.name)

    def load(self, name_or_path: str) -> None:
        """Load a model of the catalogue, or a checkpoint."""
        self._status.show_busy(f"Loading {Path(name_or_path).stem} …")
        work = partial(tasks.load, name_or_path)
        self._worker.submit(Job(MODEL, work, self.loaded.emit, self._tell))

    def _on_loaded(self, predictor: Predictor) -> None:
        self._in_use = predictor.model.name

    def fetch(self) -> None:
        """Fetch the chosen model, then load it."""
        entry = self._entry()
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
        self.show(name)
        self.choose()

    def _open(self) -> None:
        """Use a checkpoint of the user's own."""
        path, _ = QFileDialog.getOpenFileName(
            self._panel, "Open a model", filter="Checkpoints (*.pth *.pt *.safetensors)"
        )
        if path:
            self.load(path)

    def _entry(self) -> ModelEntry:
        entry: ModelEntry = self._panel.model.currentData()
        return entry
