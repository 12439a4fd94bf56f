"""Sessions in real windows: killed, closed, opened again, dropped in; and embeddings made ahead."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from skimage import data

from napari_sam.engine import FrameStack
from napari_sam.session import is_session, load, session_path
from window_at_work import fingerprint

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
SAVES = 6  # before it is killed in the midst of a further one
N_SCRUBBED = 200


@pytest.fixture
def image_path(tmp_path: Path) -> Path:
    path = tmp_path / "cells.tif"
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (4, 32, 32)).astype(np.uint8)
    tifffile.imwrite(path, pixels, photometric="minisblack")
    return path


def test_killed_while_saving_nothing_that_was_saved_is_lost(
    image_path: Path, tmp_path: Path, qapp
) -> None:
    """SIGKILL to a real window; `qapp` brings the screen."""
    tests = Path(__file__).parents[1]
    environment = {
        **os.environ,
        "PYTHONPATH": str(tests),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    command = [sys.executable, str(tests / "window_at_work.py"), str(image_path)]
    stood: list[str] = []  # what stood before each save
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            word, what = line.split()
            if word == "stands":
                stood.append(what)
            elif int(what) == SAVES:
                break
        process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read()
    stood += [line.split()[1] for line in rest.splitlines() if line.startswith("stands ")]
    assert len(stood) >= SAVES
    stack = FrameStack.from_array(tifffile.imread(image_path), rgb=False)
    again = load(session_path(image_path), stack)
    assert again.notices == []
    assert fingerprint(again) in stood[SAVES - 1 :]
    assert len(again.objects()) > 1


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """Coins that move, 200 frames of 96 × 96."""
    coins = data.coins()[40:170, 40:170]
    shifts = itertools.cycle([0, 1, 2, 3, 2, 1])
    frames = [
        coins[s : s + 96, s : s + 96] for s, _ in zip(shifts, range(N_SCRUBBED), strict=False)
    ]
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, np.stack(frames), photometric="minisblack")
    return path


def state(user) -> tuple[np.ndarray, dict]:
    session = user.widget.bridge.session
    prompts = {key: annotation.drawings for key, annotation in session.annotations()}
    return np.array(session.labels), prompts


def test_scrub_annotate_undo_close_and_open_again(open_window, movie: Path, longest_gap) -> None:
    user = open_window(movie)
    viewer, widget = user.viewer, user.widget
    viewer.dims.set_current_step(0, 0)

    def scrub() -> None:
        for _ in range(N_SCRUBBED):
            user.press(Qt.Key.Key_Right)
            user.qtbot.wait(5)

    assert longest_gap(scrub) < 5
    assert viewer.dims.current_step[0] == N_SCRUBBED - 1
    user.ready()
    user.qtbot.waitUntil(lambda: widget.worker.idle, timeout=120_000)
    last = widget.bridge.frame
    n_embedded = len(widget.cache)
    assert 1 < n_embedded < 20, "where it rested and the neighbours, not what was passed over"
    neighbour = (last[0] - 1, None, None)
    key, frame = widget.cache._key(widget.predictor, widget.bridge.session.stack, neighbour)
    assert frame is None
    assert key in widget.cache._entries, "the frame before is there already"

    user.click((last[0], 30, 50))
    user.ready()
    user.press("n")
    user.click((last[0], 80, 50))
    user.ready()
    user.press("n")
    user.click((last[0], 50, 10))
    user.ready()
    user.press("z", CONTROL)
    user.ready()
    user.press(Qt.Key.Key_Left)
    user.ready()
    user.click((last[0] - 1, 30, 50))
    user.ready()
    widget.bridge.select(1)
    widget.onwards.propagate()
    user.qtbot.waitUntil(lambda: widget.worker.idle, timeout=120_000)
    user.ready()
    labels, prompts = state(user)
    assert labels[last[0]].any()
    assert labels[last[0] - 1].any()
    viewer.close()
    assert is_session(session_path(movie)), "closed before the timer came round"

    again = open_window(movie)
    restored, its_prompts = state(again)
    np.testing.assert_array_equal(restored, labels)
    assert its_prompts == prompts
    again.viewer.dims.set_current_step(0, last[0])
    again.click((last[0], 34, 54))
    again.ready()
    assert len(again.widget.bridge.session.prompts(again.widget.bridge.session.active, last).points)


def test_a_session_is_dropped_into_a_window_at_work(open_window, movie: Path, tmp_path) -> None:
    first = open_window(movie)
    first.click((first.widget.bridge.frame[0], 30, 50))
    first.ready()
    labels, prompts = state(first)
    first.viewer.close()

    user = open_window(data.coins())
    user.viewer.window._qt_viewer._qt_open([str(session_path(movie))], stack=False)
    user.qtbot.waitUntil(lambda: user.widget.bridge.image.name == "movie", timeout=60_000)
    user.ready()
    restored, its_prompts = state(user)
    np.testing.assert_array_equal(restored, labels)
    assert its_prompts == prompts
    assert user.widget.saving._session is user.widget.bridge.session


def test_all_frames_are_embedded_cancelled_resumed_and_cleared(open_window) -> None:
    n = 20
    frame = data.coins()[:64, :64]
    user = open_window(np.stack([np.roll(frame, i) for i in range(n)]))
    widget, panel = user.widget, user.widget.embeddings
    panel.embed.click()
    user.qtbot.waitUntil(lambda: 200 < panel.bar.value() < 100 * n, timeout=120_000)
    panel.cancel.click()
    user.qtbot.waitUntil(lambda: widget.worker.idle, timeout=120_000)
    assert 2 <= len(widget.cache.store) < n
    assert panel.embed.isEnabled()
    panel.embed.click()
    user.qtbot.waitUntil(lambda: f"All {n}" in panel.text.text(), timeout=240_000)
    assert len(widget.cache.store) == n
    panel.clear.click()
    user.qtbot.waitUntil(lambda: "none in memory, none of" in panel.sizes.text(), timeout=60_000)
    assert len(widget.cache.store) == 0
    assert len(widget.cache) == 0
