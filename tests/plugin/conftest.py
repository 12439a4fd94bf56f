"""A user at a real window, and time measured in the event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, thread_time

import npe2
import numpy as np
import pytest
import torch
from qtpy.QtCore import QTimer
from torch import nn

from napari_sam.engine import LoadedModel
from user import User

PATIENCE_MS = 60_000


@pytest.fixture(autouse=True)
def user_folders(tmp_path, monkeypatch) -> None:
    """Embeddings and sessions of the tests go nowhere near the user's own."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path / "data")
    monkeypatch.setenv("NAPARI_SAM_EMBEDDINGS", str(tmp_path / "embeddings"))  # none is there yet


@pytest.fixture(autouse=True, scope="session")
def _plugins_are_found_once() -> Iterator[None]:
    """napari looks through all packages for plugins with each window of a test."""
    found = tuple(npe2.PluginManifest.discover())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npe2.PluginManifest, "discover", lambda paths=(): iter(found))
        yield


class PatientUser(User):
    """A user who waits by the means of pytest-qt."""

    def __init__(self, viewer, qtbot) -> None:
        super().__init__(viewer)
        self.qtbot = qtbot

    def ready(self) -> None:
        """Wait until everything requested has landed."""
        self.qtbot.waitUntil(lambda: self.is_ready, timeout=PATIENCE_MS)


@pytest.fixture
def open_window(make_napari_viewer, qtbot, monkeypatch) -> Callable[..., PatientUser]:
    """Open a real window on an image, with the widget docked and the model loaded.

    It is the embedded one, which takes a second for a frame, or that of a scripted network.
    """

    def open_(data, network: nn.Module | None = None, **options) -> PatientUser:
        if network is not None:
            model = LoadedModel(network, "scripted", "sha256:1", torch.device("cpu"), "fp32")
            monkeypatch.setattr("napari_sam.engine.load_model", lambda _: model)
        viewer = make_napari_viewer(show=True)
        viewer.window._qt_window.resize(1000, 750)
        if isinstance(data, Path):
            viewer.open(str(data), **options)
        else:
            viewer.add_image(data, **options)
        user = PatientUser(viewer, qtbot)
        user.refit()
        user.ready()
        return user

    return open_


@pytest.fixture
def longest_gap(qtbot) -> Callable[[Callable[[], None]], float]:
    """Seconds the event loop stood still at the longest while something was done."""

    def measure(action: Callable[[], None]) -> float:
        ticks = [perf_counter()]
        timer = QTimer()
        timer.timeout.connect(lambda: ticks.append(perf_counter()))
        timer.start(5)
        action()
        timer.stop()
        return float(np.diff(ticks).max())

    return measure


@pytest.fixture
def most_work(qtbot) -> Callable[[Callable[[], None]], float]:
    """Processor seconds the window's thread took between two turns of its event loop, at most.

    Unlike seconds of the clock they are the same on a busy computer.
    """

    def measure(action: Callable[[], None]) -> float:
        turns = [thread_time()]
        timer = QTimer()
        timer.timeout.connect(lambda: turns.append(thread_time()))
        timer.start(5)
        action()
        timer.stop()
        return float(np.diff(turns).max())

    return measure
