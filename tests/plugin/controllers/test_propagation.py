"""Stacks in a real window: propagated, cancelled, reviewed, corrected, divided, undone."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from bright import BRIGHT, SIDE, Gate
from napari_sam.engine import Prompts
from napari_sam.plugin.controllers.review import CORRECTING, WHAT_NOW
from napari_sam.plugin.layers.own_layers import new_labels
from napari_sam.session import empty_labels, load, objects

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def blobs(n: int, *, gone: range = range(0)) -> np.ndarray:
    """Two squares that move a pixel a frame, to the right and down; the second is away a while."""
    stack = np.full((n, SIDE, SIDE), 20, np.uint8)
    stack += np.random.default_rng(0).integers(0, 20, stack.shape, np.uint8)
    for t in range(n):
        at = 4 + (t % 40)
        stack[t, 8:18, at : at + 10] = 220
        if t not in gone:
            stack[t, at : at + 12, 50:60] = 200
    return stack


def at(t: int) -> tuple[int, int, int]:
    """A pixel in the first square of a frame."""
    return (t, 12, 9 + t)


def other(t: int) -> tuple[int, int, int]:
    """A pixel in the second square of a frame."""
    return (t, 9 + t, 55)


def run_through(user) -> None:
    """Wait until no run is on its way and all that came of it is shown."""
    widget = user.widget
    user.qtbot.waitUntil(
        lambda: not widget.propagation.runs and not widget.review._settled.isActive(),
        timeout=60_000,
    )
    user.ready()


def choose(combo, name: str) -> None:
    combo.setCurrentIndex(combo.findData(name))


def test_propagate_undo_redo(open_stack) -> None:
    user = open_stack(blobs(12))
    widget, labels = user.widget, user.widget.bridge.labels
    user.click(at(0))
    user.ready()
    one_frame = labels.data.copy()
    user.press(".")
    run_through(user)
    assert all(labels.data[at(t)] == 1 for t in range(12))
    assert "over 11 frames" in widget.stack.outcome.text()
    assert widget.bridge.session.anchors(1) == {(0, None, None)}
    whole = labels.data.copy()
    user.press("z", CONTROL)
    user.ready()
    np.testing.assert_array_equal(labels.data, one_frame)
    user.press("z", CONTROL | SHIFT)
    user.ready()
    np.testing.assert_array_equal(labels.data, whole)
    user.press("z", CONTROL)
    user.press("z", CONTROL)
    user.ready()
    assert not labels.data.any()
    assert len(widget.bridge.points.data) == 0


def test_a_run_taken_back_is_run_again_from_the_frame_it_was_begun_in(open_stack) -> None:
    user = open_stack(blobs(12))
    widget, labels = user.widget, user.widget.bridge.labels
    user.viewer.dims.set_current_step(0, 3)
    user.ready()
    user.click(at(3))
    user.ready()
    user.press(".")
    run_through(user)
    user.press("z", CONTROL)
    user.ready()
    assert widget.bridge.frame == (3, None, None)
    assert widget.stack.outcome.text() == ""
    assert "Propagated" not in widget.status.text.text()
    widget.stack.reach.setValue(2)
    user.press(".")
    run_through(user)
    assert [bool(frame.any()) for frame in labels.data] == [3 <= t <= 5 for t in range(12)]
    said = widget.stack.outcome.text()
    assert "over 2 frames" in said

    user.press("z", CONTROL)
    user.press("z", CONTROL | SHIFT)
    user.ready()
    assert widget.bridge.frame == (3, None, None)
    assert widget.stack.outcome.text() == said, "it is shown again"
    user.viewer.dims.set_current_step(0, 9)
    user.press("z", CONTROL)
    assert widget.bridge.frame[0] in (4, 5), "where neither is shown, the change is"


def is_saved(session) -> bool:
    return session.saved is not None and session.saved.n_changes == session.n_changes


def test_a_movie_whose_labels_are_compressed(open_stack) -> None:
    """Prompted, propagated, painted, undone and saved like those in one array."""
    user = open_stack(blobs(12))
    viewer, widget = user.viewer, user.widget
    stack = widget.bridge.session.stack
    data = empty_labels(stack.shape, most_pixels=0)
    viewer.add_layer(new_labels(widget.bridge.image, stack, data))
    user.ready()
    index = widget.source.labels.count() - 1
    widget.source.labels.setCurrentIndex(index)
    widget.source.labels.activated.emit(index)
    user.ready()
    labels = widget.bridge.labels
    assert labels.data is data
    user.click(at(0))
    user.ready()
    user.press(".")
    run_through(user)
    assert all(data[at(t)] == 1 for t in range(12))
    propagated = np.array(data)
    labels.paint((0, 40, 30), 7)
    labels.paint((0, 12, 9), 0)
    painted = np.array(data)
    assert painted[0, 40, 30] == 7
    session = widget.bridge.session
    user.qtbot.waitUntil(lambda: is_saved(session), timeout=60_000)
    user.press("z", CONTROL)
    user.press("z", CONTROL)
    np.testing.assert_array_equal(data, propagated)
    user.press("z", CONTROL)
    user.ready()
    assert not np.array(data[1:]).any()
    for _ in range(3):
        user.press("z", CONTROL | SHIFT)
        user.ready()
        np.testing.assert_array_equal(labels._slice.image.raw, data[widget.bridge.frame[0]])
    np.testing.assert_array_equal(data, painted)
    folder = widget.saving.folder
    viewer.window.remove_dock_widget(widget)
    np.testing.assert_array_equal(load(folder, stack).labels, painted)


def held_at_third(user, gate: Gate) -> None:
    """A run that has done frames 1 and 2, both of them landed."""
    user.press(".")
    assert gate.entered.acquire(timeout=60)
    gate.let(2)
    labels = user.widget.bridge.labels
    user.qtbot.waitUntil(lambda: labels.data[at(2)] == 1, timeout=60_000)


def test_cancel_keeps_what_is_there_as_one_step(open_stack, hold) -> None:
    user = open_stack(blobs(12))
    widget, labels = user.widget, user.widget.bridge.labels
    user.click(at(0))
    user.ready()
    gate = hold(user.network)
    held_at_third(user, gate)
    assert "Propagating" in widget.status.text.text()
    widget.status.cancel.click()
    gate.open()
    user.qtbot.waitUntil(lambda: widget.worker.idle)
    run_through(user)
    assert [int(labels.data[at(t)]) for t in range(12)] == [1] * 3 + [0] * 9
    assert "Cancelled" in widget.stack.outcome.text()
    user.press("z", CONTROL)
    user.ready()
    assert [int(labels.data[at(t)]) for t in range(12)] == [1] + [0] * 11


def test_undone_while_it_runs_a_run_does_not_go_on(open_stack, hold) -> None:
    user = open_stack(blobs(12))
    labels = user.widget.bridge.labels
    user.click(at(0))
    user.ready()
    gate = hold(user.network)
    held_at_third(user, gate)
    user.press("z", CONTROL)
    gate.open()
    user.qtbot.waitUntil(lambda: user.widget.worker.idle)
    run_through(user)
    assert labels.data[at(0)] == 1
    assert not labels.data[1:].any()


def test_a_click_is_answered_before_the_run_goes_on(open_stack, hold) -> None:
    user = open_stack(blobs(12))
    bridge, labels = user.widget.bridge, user.widget.bridge.labels
    user.click(at(0))
    user.ready()
    user.press("n")
    gate = hold(user.network)
    user.widget.objects.choose([])
    bridge.select(1)
    held_at_third(user, gate)
    bridge.next_object()
    n_encoded = user.network.n_encoded
    user.click(other(0))
    user.qtbot.waitUntil(lambda: bool(bridge.session.pending()))
    gate.released.release()  # the block that is being computed; the next frame is held again
    user.qtbot.waitUntil(lambda: labels.data[other(0)] == 2, timeout=60_000)
    assert user.network.n_encoded <= n_encoded + 1, "not a frame was waited for"
    assert user.widget.propagation.runs
    gate.open()
    run_through(user)
    assert all(labels.data[at(t)] == 1 for t in range(12)), "the run went on"
    user.press("z", CONTROL)
    user.ready()
    assert not (labels.data == 2).any(), "the click was later: it is undone first"
    assert all(labels.data[at(t)] == 1 for t in range(12))
    user.press("z", CONTROL)
    user.ready()
    assert not labels.data[1:].any()


def test_all_objects_of_a_frame_followed_by_the_slider(open_stack) -> None:
    data = blobs(8)
    user = open_stack(data)
    widget, labels = user.widget, user.widget.bridge.labels
    found = np.zeros(data.shape, np.uint16)
    found[0][data[0] > 210] = 7  # as another tool may have found them
    found[0][(data[0] > BRIGHT) & (data[0] <= 210)] = 9
    labels.data = found
    choose(widget.stack.which, "all")
    widget.stack.follow.setChecked(True)
    widget.stack.reach.setValue(5)
    widget.stack.button.click()
    run_through(user)
    assert [int(labels.data[at(t)]) for t in range(8)] == [7] * 6 + [0] * 2
    assert [int(labels.data[other(t)]) for t in range(8)] == [9] * 6 + [0] * 2
    assert widget.bridge.frame == (5, None, None)


def test_a_loss_is_said_reviewed_corrected_and_propagated(open_stack) -> None:
    user = open_stack(blobs(16, gone=range(5, 9)))
    widget, bridge = user.widget, user.widget.bridge
    user.click(other(0))
    user.ready()
    user.press(".")
    run_through(user)
    assert "Object 1 ends before frame" in widget.stack.outcome.text()
    assert "; 1 ended on the way." in widget.status.text.text()
    assert bridge.labels.data[other(4)] == 1
    assert not (bridge.labels.data[10:] == 1).any()
    ended = widget.review.entries[0]
    assert (ended.object_id, ended.score) == (1, None)
    assert widget.pages.tabs.tabText(widget.review_page).startswith("Review (")

    user.press("u")
    user.ready()
    assert bridge.frame == ended.frame
    user.viewer.dims.set_current_step(0, 10)  # it is back here
    user.click(other(10))
    user.ready()
    run_through(user)
    assert bridge.labels.data[other(10)] == 1
    user.press(".")
    run_through(user)
    assert all(bridge.labels.data[other(t)] == 1 for t in range(10, 16))


def test_the_weakest_first_to_be_confirmed_or_corrected(open_stack) -> None:
    user = open_stack(blobs(10))
    widget, session = user.widget, user.widget.bridge.session
    widget.review._pause.setInterval(60_000)  # the test may be slower than a user
    user.click(at(0))
    user.ready()
    user.press(".")
    run_through(user)
    weakest = session.weakest()
    assert [(d.object_id, d.frame) for d in widget.review.entries] == [w[:2] for w in weakest]
    user.press("u")
    user.ready()
    first = weakest[0][1]
    assert widget.bridge.frame == first
    why = f"Object 1 was propagated here from frame 0. {WHAT_NOW}"
    assert widget.status.text.text() == why, "it is said where the page is not in sight"
    user.press("0")
    user.ready()
    assert first in session.anchors(1)
    second = weakest[1][1]
    assert widget.bridge.frame == second
    t = second[0]

    start = session.labels.copy()
    landed: list = []
    session.landed.connect(landed.extend)
    user.click((t, 9, 6 + t), button=Qt.MouseButton.RightButton)
    user.click(at(t))
    user.ready()
    assert second in session.anchors(1)
    assert not widget.propagation.runs, "the correction is not done yet"
    assert widget.status.text.text() == CORRECTING
    user.press("u")
    run_through(user)
    again = {frame[0] for _, frame in landed if frame != second}
    stop = min((a[0] for a in session.anchors(1) if a[0] > t), default=10)
    assert again == set(range(t + 1, stop)), "propagated to the next anchor, by itself"
    assert widget.pages.tabs.tabText(widget.review_page) == f"Review ({len(widget.review.entries)})"
    user.press("z", CONTROL)
    user.ready()
    assert "Undone: correction of object 1" in widget.status.text.text()
    np.testing.assert_array_equal(session.labels, start)


def test_of_several_objects_all_are_propagated_and_trimmed_by_keys(open_stack) -> None:
    user = open_stack(blobs(6))
    widget, labels = user.widget, user.widget.bridge.session.labels
    user.click(at(0))
    user.ready()
    assert widget.stack.which.currentData() == "active"
    user.press("n")
    user.click(other(0))
    user.ready()
    assert widget.stack.which.currentData() == "all"
    user.press(".")
    run_through(user)
    assert [set(np.unique(frame)) for frame in labels] == [{0, 1, 2}] * 6
    user.viewer.dims.set_current_step(0, 1)
    user.press("8")
    user.viewer.dims.set_current_step(0, 4)
    user.press("9")
    user.ready()
    assert [int((labels[t] == 2).any()) for t in range(6)] == [0, 1, 1, 1, 1, 0]
    assert "Object 2 ends in this frame" in widget.status.text.text()
    user.press(Qt.Key.Key_Delete)
    user.ready()
    assert [int((labels[t] == 2).any()) for t in range(6)] == [0, 1, 1, 1, 0, 0]
    user.qtbot.keyClick(widget.objects.table, Qt.Key.Key_Delete)
    assert not (labels == 2).any()
    assert (labels == 1).any(axis=(1, 2)).all()
    assert widget.bridge.session.active == 3
    choose(widget.stack.which, "active")
    user.viewer.dims.set_current_step(0, 0)
    user.ready()
    assert widget.stack.which.currentData() == "active", "what the user chose stays"


def test_a_pause_ends_a_correction(open_stack) -> None:
    user = open_stack(blobs(8))
    widget, session = user.widget, user.widget.bridge.session
    user.click(at(0))
    user.ready()
    user.press(".")
    run_through(user)
    user.press("u")
    user.ready()
    t = widget.review.current.frame[0]
    widget.review._pause.setInterval(60_000)  # the test may be slower than a user
    user.click(at(t))
    user.ready()
    assert widget.review._pause.isActive()
    widget.review._pause.start(0)
    user.qtbot.waitUntil(lambda: not widget.review._pause.isActive())
    run_through(user)
    assert session.last_step.startswith("correction of object 1")


def test_tracks_follow_a_division(open_stack) -> None:
    data = blobs(6)
    user = open_stack(data)
    widget, bridge = user.widget, user.widget.bridge
    for t in range(6):
        bridge.labels.data[t][data[t] > 210] = 1 if t < 3 else 2
        bridge.labels.data[t][(data[t] > BRIGHT) & (data[t] <= 210)] = 3 * (t >= 3)
    bridge.session.take_labels(bridge.labels.data)
    widget.stack.tracks.setChecked(True)
    tracks = widget.tracks.layer
    assert tracks in user.viewer.layers
    assert set(tracks.data[:, 0]) == {1, 2, 3}
    np.testing.assert_allclose(tracks.data[0], [1, 0, 12.5, 8.5])
    assert tracks.graph == {}

    bridge.select(1)
    user.ready()
    widget.object_actions.do("mother")
    user.viewer.dims.set_current_step(0, 3)
    user.ready()
    widget.objects.choose([2, 3])
    widget.object_actions.do("daughters")
    user.ready()
    assert bridge.session.parents == {2: (1,), 3: (1,)}
    user.qtbot.waitUntil(lambda: tracks.graph == {2: [1], 3: [1]}, timeout=60_000)
    user.press("z", CONTROL)
    user.qtbot.waitUntil(lambda: tracks.graph == {}, timeout=60_000)
    user.viewer.layers.remove(tracks)
    assert not widget.stack.tracks.isChecked()


ACTIONS = {
    "delete here": lambda labels: np.where(np.isin(labels, (1, 2)) & now(labels), 0, labels),
    "delete before here": lambda labels: np.where(
        np.isin(labels, (1, 2)) & ~late(labels), 0, labels
    ),
    "delete from here": lambda labels: np.where(np.isin(labels, (1, 2)) & late(labels), 0, labels),
    "delete everywhere": lambda labels: np.where(np.isin(labels, (1, 2)), 0, labels),
    "merge here": lambda labels: np.where((labels == 2) & now(labels), 1, labels),
    "merge before here": lambda labels: np.where((labels == 2) & ~late(labels), 1, labels),
    "merge everywhere": lambda labels: np.where(labels == 2, 1, labels),
    "join": lambda labels: np.where((labels == 2) & late(labels), 1, labels),
    "swap": lambda labels: np.where(late(labels) & (labels > 0), 3 - labels, labels),
}


def now(labels: np.ndarray) -> np.ndarray:
    """Where it is frame 2."""
    return np.arange(len(labels))[:, None, None] == 2


def late(labels: np.ndarray) -> np.ndarray:
    """Where it is frame 2 or later."""
    return np.arange(len(labels))[:, None, None] >= 2


def test_whole_objects_are_edited_from_the_menu(open_stack) -> None:
    data = blobs(5)
    user = open_stack(data)
    widget, bridge = user.widget, user.widget.bridge
    before = np.where(data > 210, 1, 2 * (data > BRIGHT)).astype(np.uint16)
    bridge.labels.data = before.copy()
    user.viewer.dims.set_current_step(0, 2)
    user.ready()
    bridge.select(1)
    user.ready()
    user.click(other(2), modifiers=CONTROL | SHIFT)
    assert widget.objects.chosen() == [1, 2]
    assert bridge.session.active == 1
    for name, wanted in ACTIONS.items():
        widget.objects.choose([1, 2])
        widget.object_actions.show_possible()
        assert widget.objects.menu.entries[name].isEnabled()
        widget.objects.menu.entries[name].trigger()
        np.testing.assert_array_equal(bridge.labels.data, wanted(before), err_msg=name)
        bridge.undo()
        np.testing.assert_array_equal(bridge.labels.data, before, err_msg=f"{name} is one step")
        user.viewer.dims.set_current_step(0, 2)
        user.ready()
    user.viewer.dims.set_current_step(0, 0)
    user.ready()
    for name in ("delete before here", "merge before here"):
        widget.objects.choose([1, 2])
        widget.object_actions.do(name)
        assert widget.status.text.text().startswith("There is nothing of object"), name
    np.testing.assert_array_equal(bridge.labels.data, before)
    widget.objects.choose([1])
    widget.object_actions.show_possible()
    assert not widget.objects.menu.entries["merge here"].isEnabled()


def test_many_frames_with_the_cursor_key(open_stack) -> None:
    user = open_stack(blobs(30))
    user.viewer.window._qt_window.resize(900, 500)  # fewer pixels to draw in software
    user.widget.ahead.prefetch = True
    user.click(at(0))
    user.ready()
    for _ in range(29):
        user.press(Qt.Key.Key_Right)
        QApplication.processEvents()
    user.ready()
    bridge = user.widget.bridge
    assert bridge.frame == (29, None, None)
    assert user.network.n_encoded <= 30, "no frame is embedded twice"
    assert not bridge.labels.data[1:].any()
    user.press("n")
    pixel = at(29)
    user.click(pixel)
    user.ready()
    assert bridge.labels.data[pixel] == 2


def test_prompts_given_by_a_script_stay_anchors(open_stack) -> None:
    user = open_stack(blobs(9))
    session, labels = user.widget.bridge.session, user.widget.bridge.labels
    for t in (0, 8):
        session.edit(1, (t, None, None), Prompts.from_points([at(t)[1:]]))
    user.ready()
    user.viewer.dims.set_current_step(0, 4)
    user.ready()
    choose(user.widget.stack.which, "all")
    choose(user.widget.stack.direction, "between")
    anchors = labels.data[[0, 8]].copy()
    user.press(".")
    run_through(user)
    assert all(labels.data[at(t)] == 1 for t in range(9))
    np.testing.assert_array_equal(labels.data[[0, 8]], anchors)


def test_features_name_each_object(open_stack) -> None:
    user = open_stack(blobs(4))
    bridge = user.widget.bridge
    user.click(at(0))
    user.ready()
    user.press(".")
    run_through(user)
    objects.delete(bridge.session, [1], (3, None, None))
    user.qtbot.waitUntil(
        lambda: list(bridge.labels.features.get("frames", [])) == [0, 3], timeout=60_000
    )
    row = bridge.labels.features.iloc[1]
    assert (row["index"], row["model"], row["prompts"], row["parent"]) == (1, "bright", 1, "")
    assert 0 < row["score"] <= 1
