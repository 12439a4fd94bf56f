"""The whole way in a real window: mouse events on the canvas, the embedded model, labels."""

from __future__ import annotations

import hashlib
import threading

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from npe2 import PluginManager
from qtpy.QtCore import Qt
from skimage import data

from bright import Bright
from checkpoints import Wrapping, small_state
from file_server import FileServer, serving
from napari_sam.engine import ModelEntry, Prompts
from napari_sam.engine.models import catalogue
from napari_sam.plugin import preferences
from napari_sam.plugin.work.jobs import Job
from napari_sam.session import Region

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
COIN, OTHER_COIN, BETWEEN = (70, 90), (190, 270), (115, 117)
FRAME = (None, None)


@pytest.fixture(scope="module")
def coins() -> np.ndarray:
    return data.coins()


def test_click_correct_next_object_undo(open_window, coins) -> None:
    user = open_window(coins)
    session, labels = user.widget.bridge.session, user.widget.bridge.labels

    user.click(COIN)
    user.ready()
    assert labels.data[COIN] == 1, "one click, one coin"
    user.click(BETWEEN, modifiers=CONTROL)
    user.click(BETWEEN + np.array([4, 4]), button=Qt.MouseButton.RightButton)
    user.ready()
    assert session.prompts(1, FRAME).labels == (1, 0, 0)
    assert labels.data[BETWEEN] == 0

    user.press("n")
    assert session.active == 2
    assert len(user.widget.bridge.points.data) == 0
    user.click(OTHER_COIN)
    user.ready()
    assert labels.data[OTHER_COIN] == 2
    assert labels.data[COIN] == 1, "the neighbour stays"

    user.click(COIN, modifiers=SHIFT)
    user.ready()
    assert session.active == 1
    assert len(user.widget.bridge.points.data) == 3

    before = labels.data.copy()
    user.press("z", CONTROL)
    user.ready()
    assert not (labels.data == 2).any()
    user.press("z", CONTROL | SHIFT)
    user.ready()
    np.testing.assert_array_equal(labels.data, before)


def test_what_is_said_and_listed_is_about_what_is_there(open_window) -> None:
    image = np.zeros((48, 48), np.uint8)
    image[8:30, 8:30] = 200
    user = open_window(image, Bright())
    said, objects = user.widget.status.text.text, user.widget.objects
    assert said() == "Ready: click on an object. scripted runs on the processor."
    user.click((20, 20))
    user.ready()
    assert said() == "Ready: scripted runs on the processor."
    user.press("n")
    user.click((20, 20))
    user.ready()
    assert said() == "That is object 1: Shift+click to continue with it."
    user.click((20, 20), modifiers=SHIFT)
    assert said() == "Ready: scripted runs on the processor."
    user.press(Qt.Key.Key_Delete)
    user.ready()
    assert said() == "Deleted object 1 in this frame. Ctrl+Z brings it back."
    user.press("z", CONTROL)
    user.ready()
    assert objects.table.model().rowCount() == 1
    user.viewer.layers.clear()
    user.qtbot.waitUntil(lambda: not objects.title.text())
    assert objects.table.model().rowCount() == 0
    assert "Open an image" in said()


def test_where_the_network_is_unsure_it_is_said(open_window) -> None:
    image = np.zeros((48, 48), np.uint8)
    image[4:16, 4:16] = image[30:44, 30:44] = 200
    user = open_window(image, network := Bright())
    network.iou_prediction = 0.4
    user.click((10, 10))
    user.ready()
    said = user.widget.status.text.text
    assert said() == "⚠ Unsure of this mask (0.40). Look at the candidates, or add a prompt."
    network.iou_prediction = 0.6
    user.press("n")
    user.click((37, 37))
    user.ready()
    assert said() == "Ready: scripted runs on the processor."
    user.click((10, 10))  # to correct the first one, as one thinks
    user.ready()
    assert said().startswith("⚠ This click is in object 1, and was added to object 2. Ctrl+Z")


def test_a_box_by_hand(open_window, coins) -> None:
    user = open_window(coins)
    user.press("w")
    user.drag((161, 234), (222, 296))
    user.ready()
    bridge = user.widget.bridge
    box = bridge.session.prompts(1, FRAME).box
    np.testing.assert_allclose(box, (161, 234, 222, 296), atol=1.5)
    assert bridge.labels.data[OTHER_COIN] == 1


def test_candidates_are_shown_and_taken(open_window, coins) -> None:
    user = open_window(coins)
    user.click(COIN)
    user.ready()
    bridge, panel = user.widget.bridge, user.widget.objects.candidates
    user.qtbot.waitUntil(lambda: sum(b.isVisible() for b in panel.buttons) == 4)
    prediction = bridge.session.answer(1, FRAME).prediction
    first = prediction.best
    assert panel.buttons[first].isChecked()
    user.press("k")
    user.ready()
    second = (first + 1) % 4
    user.qtbot.waitUntil(lambda: panel.buttons[second].isChecked())
    np.testing.assert_array_equal(bridge.labels.data > 0, prediction.mask(second))
    panel.buttons[first].click()
    user.ready()
    np.testing.assert_array_equal(bridge.labels.data > 0, prediction.mask(first))


def test_hover_shows_the_mask_a_click_gives(open_window, coins) -> None:
    user = open_window(coins)
    bridge = user.widget.bridge
    user.press("h")
    user.move(COIN)
    user.qtbot.waitUntil(lambda: bridge.preview.visible, timeout=60_000)
    preview = bridge.preview.data > 0
    top, left = np.round(bridge.preview.translate).astype(int)
    assert not bridge.labels.data.any()
    user.click(COIN)
    user.ready()
    clicked = bridge.labels.data > 0
    assert clicked.sum() == preview.sum()
    window = np.s_[top : top + preview.shape[0], left : left + preview.shape[1]]
    np.testing.assert_array_equal(clicked[window], preview)
    user.press("h")
    assert not bridge.preview.visible


def test_a_preview_is_drawn_where_the_mask_would_land(open_window, coins) -> None:
    user = open_window(coins, scale=(2, 1), rotate=20)
    bridge = user.widget.bridge
    user.widget.worker.cancel()
    pixel_of = {at: bridge.image.data_to_world(at) for at in [(50, 60), (200, 300)]}
    for at in pixel_of:
        bridge.show_preview(Region(at[0] - 8, at[1] - 8, np.ones((17, 17), bool)))
        user.qtbot.wait(50)
        drawn = user.viewer.screenshot(canvas_only=True, flash=False).astype(int)
        ratio = drawn.shape[1] / user.canvas.native.width()
        for other, point_world in pixel_of.items():
            point = user._on_canvas(point_world)
            red, _, blue, _ = drawn[round(point.y() * ratio), round(point.x() * ratio)]
            assert (red - blue > 60) == (other == at), "yellow there and nowhere else"


@pytest.fixture
def no_looking_ahead(user_folders):
    """As the user may prefer it."""
    PluginManager.instance().discover()
    page = preferences._page()
    if page is None:
        pytest.skip("this napari has no preferences for plugins")
    page.prefetch = False
    yield
    page.prefetch = True


def test_the_slider_is_followed(no_looking_ahead, open_window, coins) -> None:
    stack = np.stack([coins, coins[::-1], coins[:, ::-1]])
    user = open_window(stack, scale=(4, 0.5, 0.5))
    bridge = user.widget.bridge
    assert bridge.frame == (1, None, None)
    user.viewer.dims.set_current_step(0, 2)
    user.viewer.dims.set_current_step(0, 0)
    user.ready()
    assert bridge.frame == (0, None, None)
    assert len(user.widget.cache) == 2, "the shown frames are embedded, the one skipped is not"
    flipped = (2, COIN[0], coins.shape[1] - 1 - COIN[1])
    user.viewer.dims.set_current_step(0, 2)
    user.click(bridge.image.data_to_world(flipped))
    user.ready()
    assert bridge.labels.data[flipped] == 1, "a click made while its frame is embedded is answered"
    assert not bridge.labels.data[[0, 1]].any()


def test_thirty_quick_clicks(open_window, coins, most_work) -> None:
    """None is lost, and the window neither waits for the worker nor does its work."""
    user = open_window(coins)
    bridge, worker = user.widget.bridge, user.widget.worker
    rng = np.random.default_rng(0)
    clicks = COIN + rng.integers(-18, 18, (30, 2))

    def click_all() -> None:
        for click in clicks:
            user.click(click)
            user.qtbot.wait(20)

    held, release, ended = threading.Event(), threading.Event(), []
    hold = Job("hold", lambda _: held.set() or release.wait(60), ended.append, pytest.fail)
    worker.submit(hold)
    assert held.wait(60)
    drawing_alone = most_work(click_all)
    assert len(bridge.session.drawings(1, FRAME)) == 30
    assert not ended, "all are taken while nothing can be answered"
    assert len(bridge.session.pending()) == 1, "the newest takes the place of the others"
    bridge.points.data = np.empty((0, 2))
    user.qtbot.waitUntil(lambda: not bridge.session.drawings(1, FRAME))
    release.set()
    user.ready()

    work = most_work(click_all)
    user.ready()
    assert len(bridge.points.data) == 30
    prompts = bridge.session.annotation(1, FRAME).prompts
    np.testing.assert_allclose(prompts.points, clicks, atol=1)
    predictor = user.widget.predictor
    expected = predictor.refine(predictor.encode(coins), prompts).mask()
    assert ((bridge.labels.data > 0) == expected).mean() > 0.999, "the last click counts"
    assert work < 2 * drawing_alone + 0.25


def test_a_dock_closed_while_encoding_leaves_no_thread(open_window, coins) -> None:
    user = open_window(np.stack([coins] * 3), name="coins")
    widget, viewer = user.widget, user.viewer
    threads = [each._thread for each in (widget.worker, widget.downloads, widget.saver)]
    assert all(thread.is_alive() for thread in threads)
    viewer.dims.set_current_step(0, 2)
    widget.answering.embed_shown()
    viewer.window.remove_dock_widget(widget)
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)
    assert not [t for t in threading.enumerate() if t.name.startswith("napari-sam")]
    assert [layer.name for layer in viewer.layers] == ["coins", "coins objects"]
    assert not [k for k in viewer.keymap if str(k).upper() in {"N", "K", "G", "H", "J", "Q", "W"}]
    viewer.dims.set_current_step(0, 1)  # nothing listens any more


def test_closed_and_opened_again(open_window, coins) -> None:
    user = open_window(coins)
    user.click(COIN)
    user.ready()
    labels = user.widget.bridge.labels
    before = labels.data.copy()
    user.viewer.window.remove_dock_widget(user.widget)
    _, user.widget = user.viewer.window.add_plugin_dock_widget("napari-sam-annotator")
    user.ready()
    assert user.widget.bridge.labels is labels
    np.testing.assert_array_equal(labels.data, before)
    assert user.widget.bridge.session.prompts(1, FRAME).n == 1


def test_two_viewers_at_once(open_window, coins) -> None:
    first, second = open_window(coins), open_window(coins)
    first.click(COIN)
    first.ready()
    assert first.widget.bridge.labels.data.any()
    assert not second.widget.bridge.labels.data.any()


def test_another_image_brings_its_own_session(open_window, coins) -> None:
    user = open_window(coins, name="first")
    user.click(COIN)
    user.ready()
    kept = user.widget.bridge.labels
    user.viewer.add_image(coins.T.copy(), name="second")
    user.qtbot.waitUntil(lambda: user.widget.bridge.image.name == "second")
    user.ready()
    user.click(COIN[::-1])
    user.ready()
    assert user.widget.bridge.labels.data[COIN[::-1]] == 1, "what is clicked is what is seen"
    assert kept.data.sum() == (kept.data == 1).sum()
    assert user.widget.bridge.labels is not kept
    assert kept.data[COIN] == 1, "what was annotated stays"
    user.viewer.layers["second"].name = "renamed"
    user.qtbot.waitUntil(lambda: user.widget.source.image.currentText() == "renamed")
    user.widget.source.image.setCurrentIndex(0)
    user.widget.source.image.activated.emit(0)
    user.ready()
    assert user.widget.bridge.labels is kept
    assert "“renamed” covers “first”" in user.widget.status.text.text()
    user.viewer.layers["renamed"].visible = False
    user.ready()
    assert user.widget.status.text.text().startswith("Ready")
    user.viewer.layers.remove("renamed")
    user.qtbot.waitUntil(lambda: user.widget.bridge and user.widget.bridge.labels is kept)


def test_channels_and_contrast_are_told_in_the_panel(open_window, coins) -> None:
    user = open_window(np.stack([coins, coins.max() - coins]), name="cells")
    widget = user.widget
    assert widget.source.input.text() == "auto contrast"
    assert widget.pages.tabs.isTabEnabled(widget.stack_page)
    widget.source.input.entries["slider -3 (2)"].trigger()
    user.ready()
    assert widget.bridge.labels.data.shape == coins.shape
    assert widget.source.input.text() == "auto contrast, all 2 channels"
    assert not widget.pages.tabs.isTabEnabled(widget.stack_page), "there is nothing to propagate to"
    names = [layer.name for layer in user.viewer.layers]
    assert len(names) == len(set(names)) == 5, "the blank labels of before are gone"
    widget.source.input.entries["channel 1"].trigger()
    widget.source.input.entries["as shown: the layer's contrast limits"].trigger()
    user.ready()
    assert widget.source.input.text() == "contrast as shown, channel 0"
    before = widget.bridge.session.stack
    widget.bridge.image.contrast_limits = (10, 100)
    user.qtbot.waitUntil(lambda: widget.bridge.session.stack is not before)
    assert widget.bridge.session.stack.fixed_limits == ((10, 100),)
    user.ready()
    user.click((0, *COIN))
    user.ready()
    assert widget.bridge.labels.data[COIN] == 1


def test_labels_of_another_shape_are_refused_and_nothing_is_lost(open_window, coins) -> None:
    user = open_window(coins)
    user.click(COIN)
    user.ready()
    before = user.widget.bridge.labels
    user.viewer.add_labels(np.zeros((5, 5), np.uint16), name="small")
    user.qtbot.waitUntil(lambda: user.widget.source.labels.findText("small") > 0)
    index = user.widget.source.labels.findText("small")
    user.widget.source.labels.setCurrentIndex(index)
    user.widget.source.labels.activated.emit(index)
    user.ready()
    assert "own shape" in user.widget.status.text.text(), "it stays until something else is done"
    assert not [r for r in notification_manager.records if "own shape" in r.message]
    assert user.widget.bridge.labels is before
    assert before.data[COIN] == 1


def test_a_mistake_is_said_where_it_can_be_seen(open_window, coins) -> None:
    user = open_window(np.stack([coins] * 2))
    widget, records = user.widget, notification_manager.records
    seen = len(records)
    user.press(".")
    said = widget.status.text.text()
    assert said.startswith("⚠ ")
    assert said.endswith(".")
    user.ready()
    assert widget.status.text.text() == said
    assert len(records) == seen
    widget.parentWidget().hide()
    user.press(".")
    assert [r.severity.value for r in records[seen:]] == ["warning"]
    assert records[-1].message == said.removeprefix("⚠ ")


def test_the_panel_shows_whether_a_tool_is_in_hand(open_window, coins) -> None:
    user = open_window(coins)
    bridge, widget, viewer = user.widget.bridge, user.widget, user.viewer
    buttons = widget.tools.buttons

    def shown() -> list[str]:
        user.ready()
        return [name for name, button in buttons.items() if button.isChecked()]

    assert shown() == ["point"]
    assert "Ready" in widget.status.text.text()
    viewer.layers.selection.active = bridge.image  # as it is after setting the contrast
    assert shown() == []
    assert "Choose a tool" in widget.status.text.text()
    user.click(COIN)
    assert not len(bridge.points.data)
    user.qtbot.mouseClick(buttons["point"], Qt.MouseButton.LeftButton)
    assert shown() == ["point"]
    assert "Ready" in widget.status.text.text()
    bridge.points.visible = False
    assert shown() == []
    assert "Choose a tool" in widget.status.text.text()
    user.press("q")
    assert bridge.points.visible
    assert shown() == ["point"]
    user.click(COIN)
    user.ready()
    assert bridge.labels.data[COIN] == 1
    user.press("w")
    assert shown() == ["rectangle"]
    viewer.layers.selection.active = bridge.points
    assert shown() == ["point"]
    user.click(COIN, modifiers=SHIFT)
    assert shown() == ["point"]


def colours(user, point_world, radius: int = 2) -> np.ndarray:
    """Of the pixels on screen about a position, ``(n, 3)``."""
    user.qtbot.wait(100)
    drawn = user.viewer.screenshot(canvas_only=True, flash=False).astype(int)
    ratio = drawn.shape[1] / user.canvas.native.width()
    point = user._on_canvas(point_world)
    y, x = round(point.y() * ratio), round(point.x() * ratio)
    window = drawn[y - radius : y + radius + 1, x - radius : x + radius + 1, :3]
    return window.reshape(-1, 3)


def test_nothing_is_drawn_where_no_click_was(open_window) -> None:
    user = open_window(np.zeros((3, 60, 80), np.uint8), contrast_limits=(0, 255))
    user.viewer.dims.set_current_step(0, 0)
    user.ready()
    user.widget.bridge.points.add((0, 30, 40))
    user.ready()
    assert colours(user, (0, 30, 40)).max() > 150
    user.viewer.dims.set_current_step(0, 2)
    user.ready()
    assert colours(user, (2, 0, 0), radius=12).max() < 60
    assert colours(user, (2, 30, 40), radius=12).max() < 60


def test_a_click_shows_its_colour_at_once(open_window, coins) -> None:
    user = open_window(coins)
    bridge = user.widget.bridge
    user.click(COIN)
    user.click(BETWEEN, modifiers=CONTROL)
    user.ready()
    assert not bridge.points.selected_data
    red, green, _ = colours(user, BETWEEN, radius=0)[0]
    assert red > 200 > green
    red, green, _ = colours(user, COIN, radius=0)[0]
    assert green > 180 > red
    bridge.points.mode = "select"
    bridge.points.selected_data = {0}
    bridge.points.remove_selected()
    user.ready()
    assert bridge.session.prompts(1, FRAME).labels == (0,)


def choose_labels(user, name: str) -> None:
    combo = user.widget.source.labels
    user.qtbot.waitUntil(lambda: combo.findText(name) >= 0)
    combo.setCurrentIndex(combo.findText(name))
    combo.activated.emit(combo.currentIndex())
    user.ready()


def test_labels_chosen_are_seen_and_blank_ones_go(open_window, coins) -> None:
    user = open_window(coins, name="coins")
    layers = user.viewer.layers
    user.viewer.add_labels(np.zeros(coins.shape, np.uint16), name="mine")
    layers.move(layers.index("mine"), 0)
    user.ready()
    choose_labels(user, "mine")
    assert layers.index("mine") == layers.index("coins") + 1
    assert "coins objects" not in layers
    user.click(COIN)
    user.ready()
    assert layers["mine"].data[COIN] == 1
    choose_labels(user, "New labels")
    assert "mine" in layers, "the user's own stay"
    user.click(COIN)
    user.ready()
    worked_in = user.widget.bridge.labels
    choose_labels(user, "mine")
    assert worked_in in layers, "what was annotated stays"


def test_a_copy_of_labels_that_cannot_be_written_to_is_said(open_window, coins) -> None:
    user = open_window(coins)
    locked = np.zeros(coins.shape, np.uint16)
    locked.flags.writeable = False
    user.viewer.add_labels(locked, name="locked")
    user.ready()
    choose_labels(user, "locked")
    said = [record.message for record in notification_manager.records]
    assert any("These labels are read-only. They were copied" in message for message in said)
    user.click(COIN)
    user.ready()
    assert user.viewer.layers["locked"].data[COIN] == 1
    assert not locked.any()


def test_a_deleted_preview_comes_back_under_the_cursor(open_window, coins) -> None:
    user = open_window(coins)
    bridge = user.widget.bridge
    user.press("h")
    user.move(COIN)
    user.qtbot.waitUntil(lambda: bridge.preview.visible, timeout=60_000)
    deleted = bridge.preview
    user.viewer.layers.remove(deleted)
    user.ready()
    user.move(OTHER_COIN)
    user.qtbot.waitUntil(lambda: bridge.preview is not deleted, timeout=60_000)
    user.qtbot.waitUntil(lambda: bridge.preview.visible, timeout=60_000)
    assert bridge.preview in user.viewer.layers
    user.ready()
    assert user.widget.source.labels.findText(bridge.preview.name) < 0
    user.click(OTHER_COIN)
    user.ready()
    assert bridge.labels.data[OTHER_COIN] == 1, "the tool is still selected"


def test_a_model_that_cannot_be_loaded_leaves_the_one_in_use(open_window, coins, tmp_path) -> None:
    user = open_window(coins)
    predictor = user.widget.predictor
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no model")
    user.widget.models.load(str(broken))
    records = notification_manager.records
    user.qtbot.waitUntil(lambda: any("broken.pth" in r.message for r in records), timeout=60_000)
    assert user.widget.predictor is predictor
    user.click(COIN)
    user.ready()
    assert user.widget.bridge.labels.data[COIN] == 1


@pytest.fixture
def published(monkeypatch, tmp_path):
    """A small checkpoint in the catalogue, on a server that breaks off once after some bytes."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("NAPARI_SAM_MODELS", str(tmp_path / "models"))
    content = Wrapping("official").save(small_state(), tmp_path).read_bytes()
    with serving(FileServer(content)) as server:
        entry = ModelEntry(
            name="vit_small",
            config="",
            suits="Tests.",
            size_bytes=len(content),
            licence="MIT",
            file_name="vit_small.pth",
            hash=f"sha256:{hashlib.sha256(content).hexdigest()}",
            url=server.url,
        )
        monkeypatch.setattr(catalogue, "CATALOGUE", (*catalogue.CATALOGUE, entry))
        yield server


def choose_model(widget, name: str) -> None:
    index = widget.source.model.findText(name, Qt.MatchFlag.MatchStartsWith)
    widget.source.model.setCurrentIndex(index)
    widget.source.model.activated.emit(index)


def test_a_model_is_fetched_from_the_panel_and_used(published, open_window, coins) -> None:
    user = open_window(coins)
    widget = user.widget
    choose_model(widget, "vit_small")
    assert widget.source.fetch.isVisible()
    assert widget.predictor.model.name == "pocket", "the model in use stays until then"
    assert "pocket is used until vit_small is downloaded" in widget.source.about.text()
    published.status = 503
    widget.source.fetch.click()
    user.qtbot.waitUntil(lambda: widget.downloads.idle)
    user.qtbot.waitUntil(lambda: "503" in notification_manager.records[-1].message)
    published.status = 200
    widget.source.fetch.click()
    user.qtbot.waitUntil(lambda: widget.predictor.model.name == "vit_small", timeout=60_000)
    assert not widget.source.fetch.isVisible()
    user.ready()
    user.click(COIN)
    user.ready()
    annotation = widget.bridge.session.annotation(1, FRAME)
    assert annotation.model == "vit_small"
    choose_model(widget, "pocket")
    user.qtbot.waitUntil(lambda: widget.predictor.model.name == "pocket", timeout=60_000)
    user.ready()
    user.click(OTHER_COIN)
    user.ready()
    assert widget.bridge.session.annotation(1, FRAME).model == "pocket"


def test_without_an_image_the_widget_waits_for_one(make_napari_viewer, coins, qtbot) -> None:
    viewer = make_napari_viewer(show=True)
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam-annotator")
    qtbot.waitUntil(lambda: widget.predictor is not None, timeout=60_000)
    assert "Open an image" in widget.status.text.text()
    viewer.add_image(coins)
    qtbot.waitUntil(lambda: widget.bridge is not None)
    widget.bridge.session.edit(1, FRAME, Prompts.from_points([COIN]))
    qtbot.waitUntil(lambda: bool(widget.bridge.labels.data.any()), timeout=60_000)
