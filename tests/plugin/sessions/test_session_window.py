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

from movies import DIVIDING, film, renumbered, same_tracks
from napari_sam.engine import FrameIndex, FrameStack
from napari_sam.engine.embeddings.cache import _Place
from napari_sam.plugin.sessions.places import IMAGE_FILE
from napari_sam.session import Propagated, Region, is_session, load, session_path
from window_at_work import fingerprint

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
SAVES = 6  # before it is killed in the midst of a further one
N_SCRUBBED = 100


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
    tests = Path(__file__).parents[2]
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
    """Coins that move, 100 frames of 96 × 96."""
    coins = data.coins()[40:170, 40:170]
    shifts = itertools.cycle([0, 1, 2, 3, 2, 1])
    frames = [
        coins[s : s + 96, s : s + 96] for s, _ in zip(shifts, range(N_SCRUBBED), strict=False)
    ]
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, np.stack(frames), photometric="minisblack", metadata={"axes": "TYX"})
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
    before = (last[0] - 1, None, None)

    def is_embedded(index: FrameIndex) -> bool:
        key, _ = widget.cache._key(widget.predictor, widget.bridge.session.stack, _Place(index))
        return key in widget.cache._entries

    user.qtbot.waitUntil(lambda: is_embedded(before), timeout=120_000)
    assert 1 < len(widget.cache) < 20, "where it rested and the neighbours, not what was skipped"

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
    widget.propagation.propagate()
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
    drop(user, session_path(movie), "movie")
    restored, its_prompts = state(user)
    np.testing.assert_array_equal(restored, labels)
    assert its_prompts == prompts
    assert user.widget.saving._session is user.widget.bridge.session


def drop(user, session_folder: Path, image_name: str) -> None:
    """Drop a saved session into the window, and wait until it is gone on with."""
    user.viewer.window._qt_viewer._qt_open([str(session_folder)], stack=False)
    user.qtbot.waitUntil(lambda: user.widget.bridge.image.name == image_name, timeout=60_000)
    user.ready()


PLACE = {
    "scale": (1.5, 0.65, 0.65),
    "translate": (0.0, 20.0, -3.0),
    "units": ("second", "micrometer", "micrometer"),
    "axis_labels": ("t", "y", "x"),
    "shear": (0.0, 0.0, 0.25),
}


def test_a_dropped_image_lies_where_it_was_annotated(open_window, movie: Path) -> None:
    pixels = tifffile.imread(movie)
    first = open_window(pixels, name="movie", metadata={IMAGE_FILE: str(movie)}, **PLACE)
    image = first.widget.bridge.image
    frame = first.widget.bridge.frame
    first.click(image.data_to_world((frame[0], 30, 50)))
    first.ready()
    assert len(first.widget.bridge.points.data) == 1
    affine, units = image._transforms.simplified.affine_matrix, image.units
    first.viewer.close()

    user = open_window(data.coins())
    drop(user, session_path(movie), "movie")
    bridge = user.widget.bridge
    for layer in (bridge.image, bridge.labels, bridge.points):
        np.testing.assert_allclose(layer._transforms.simplified.affine_matrix, affine)
        assert (layer.units, layer.axis_labels) == (units, ("t", "y", "x"))


def test_clicks_that_were_not_answered_are_after_reopening(open_window, movie: Path) -> None:
    first = open_window(movie)
    frame = first.widget.bridge.frame
    first.widget.answering.predictor = None  # as before the model is there
    first.click((frame[0], 30, 50))
    session = first.widget.bridge.session
    first.qtbot.waitUntil(lambda: bool(session.pending()), timeout=60_000)
    (asked,) = session.pending()
    first.viewer.close()
    assert not session.labels.any()

    again = open_window(movie)
    session = again.widget.bridge.session
    assert session.pending() == ()
    assert session.annotation(asked.object_id, frame).drawings == asked.drawings
    assert session.labels[frame[0], 30, 50] == asked.object_id
    again.press("z", CONTROL)
    again.ready()
    assert not session.labels.any(), "it is a step as it would have been then"


def test_why_objects_ended_is_there_to_review_after_reopening(open_window, movie: Path) -> None:
    first = open_window(movie)
    session, frame = first.widget.bridge.session, first.widget.bridge.frame
    first.click((frame[0], 30, 50))
    first.ready()
    before = (frame[0] - 1, None, None)
    why = f"Object 1 ends before frame {before[0]}. It vanished."
    run = session.new_run()
    session.land_propagated(
        Propagated(1, before, Region.empty(), 0, 0, 0, "pocket", frame, why), run
    )
    small, after = Region(30, 50, np.ones((3, 3), bool)), (frame[0] + 1, None, None)
    weak = Propagated(1, after, small, 0.5, 0.5, 0.1, "pocket", frame, warning="It shrank.")
    session.land_propagated(weak, run)
    first.viewer.close()

    again = open_window(movie)
    widget = again.widget
    warning, weak = widget.review.entries
    assert weak.why == f"Object 1 was propagated here from frame {frame[0]}. It shrank."
    assert (warning.key, warning.source, warning.why) == ((1, before), frame, why)
    assert widget.pages.tabs.tabText(widget.review_page) == "Review (2)"
    again.press("u")
    again.ready()
    assert widget.bridge.frame == before
    assert widget.review_panel.text.text() == why
    again.press("0")
    assert widget.review.entries == [weak]
    again.press("z", CONTROL)
    again.qtbot.waitUntil(lambda: len(widget.review.entries) == 2, timeout=60_000)


@pytest.fixture
def numbered_anew(open_window):
    """A window on a film of a dividing disc, whose labels have other numbers in every frame."""
    truth = film(DIVIDING)
    user = open_window(np.where(truth > 0, 200, 20).astype(np.uint8))
    user.widget.bridge.labels.data = renumbered(truth)
    user.viewer.dims.set_current_step(0, 6)
    user.ready()
    return user, truth


def link(user, says: str) -> None:
    """Pick "link" from the menu, and wait for what is said."""
    user.widget.object_actions.show_possible()
    assert user.widget.objects.menu.entries["link"].isEnabled()
    user.widget.objects.menu.entries["link"].trigger()
    user.qtbot.waitUntil(lambda: says in user.widget.status.text.text(), timeout=60_000)


def listed(user) -> list[str]:
    """The numbers in the list of objects."""
    table = user.widget.objects.table
    return table.texts()


def test_labels_are_linked_from_the_menu(numbered_anew) -> None:
    user, truth = numbered_anew
    bridge = user.widget.bridge
    before = bridge.labels.data.copy()
    link(user, "12 labels became 3 tracks, 1 division. Ctrl+Z")
    user.ready()
    assert same_tracks(bridge.labels.data, truth)
    mother = int(bridge.labels.data[0].max())
    daughters = bridge.session.ids_in((6, None, None))
    assert bridge.session.parents == dict.fromkeys(daughters, (mother,))
    assert listed(user) == [str(i) for i in daughters]
    link(user, "The 12 labels are 3 tracks, 1 division. They keep")
    user.press("z", CONTROL)
    user.ready()
    np.testing.assert_array_equal(bridge.labels.data, before)
    assert listed(user) == [str(i) for i in bridge.session.ids_in((6, None, None))]


def test_what_is_done_meanwhile_is_linked_too(numbered_anew) -> None:
    user, truth = numbered_anew
    bridge = user.widget.bridge
    user.widget.objects.menu.entries["link"].trigger()
    with bridge.labels.block_history():
        bridge.labels.selected_label, bridge.labels.brush_size = 40, 3
        bridge.labels.paint((6, 5, 5), 40)
    user.qtbot.waitUntil(lambda: "became" in user.widget.status.text.text(), timeout=60_000)
    assert "13 labels became 4 tracks" in user.widget.status.text.text()
    assert bridge.labels.data[6, 5, 5] == 40
    rest = np.where(bridge.labels.data == 40, 0, bridge.labels.data)
    assert same_tracks(rest, truth)


def test_labels_that_are_too_small_for_the_numbers_are_widened(open_window) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 32, 32)).astype(np.uint8)
    user = open_window(pixels)
    bridge = user.widget.bridge
    found = np.zeros(pixels.shape, np.uint8)
    found[:, 2:6, 2:6] = found[:, 20:24, 20:24] = 255
    bridge.labels.data = found
    user.ready()
    bridge.select(255)
    user.widget.object_actions.do("split")
    assert bridge.labels.dtype == np.uint16
    assert bridge.session.ids_in(bridge.frame) == (255, 256)


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
