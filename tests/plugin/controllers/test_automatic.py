"""Everything in a frame, in a real window: found, filtered, chosen, accepted, corrected, undone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from napari.layers import Image
from qtpy.QtCore import Qt
from torch import Tensor
from torch.nn.functional import pad

from automatic_page import LEFT, Page
from bright import SIDE, Bright, Gate
from napari_sam.engine import LoadedModel, Predictor
from napari_sam.model import PromptTensors
from napari_sam.plugin.layers.own_layers import new_labels
from napari_sam.session import load

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
CENTRES = (10, 32, 54)
MIDDLE = (32, 32)
FRAME = (None, None)


class Sized(Bright):
    """Scores of masks grow with their area, so that whole discs are better than parts of them."""

    def preprocess(self, image: Tensor) -> Tensor:
        h, w = image.shape[-2:]
        return pad(image.float(), (0, SIDE - w, 0, SIDE - h))

    def decode(self, features: tuple[Tensor, ...], prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        logits, _ = super().decode(features, prompts)
        return logits, 0.8 + (logits > 0).sum((-2, -1)) / 300


def discs(shift: int = 0) -> np.ndarray:
    """Nine discs of radius 3, that in the middle of radius 4."""
    ys, xs = np.mgrid[:SIDE, :SIDE]
    image = np.full((SIDE, SIDE), 20, np.uint8)
    for y in CENTRES:
        for x in CENTRES:
            radius = 4 if (y, x) == MIDDLE else 3
            image[(ys - y) ** 2 + (xs - x - shift) ** 2 <= radius**2] = 220
    return image


def movie(n: int) -> np.ndarray:
    """The discs going to the right, a pixel a frame."""
    return np.stack([discs(shift) for shift in range(n)])


@pytest.fixture
def open_page(open_window):
    """A window on an image, the network a scripted one, the page Automatic in front."""

    def open_(data: np.ndarray, **options) -> Page:
        user = open_window(data, Bright(), **options)
        user.widget.ahead.prefetch = False
        model = LoadedModel(Sized(), "sized", "sha256:0", torch.device("cpu"), "fp32")
        user.widget._on_model(Predictor(model))
        user.ready()
        page = Page(user)
        page.choose("method", "grid")
        page.set("points_per_side", 8)
        return page

    return open_


def test_find_filter_accept_correct_undo_save_reopen(open_page, tmp_path) -> None:
    page = open_page(discs())
    panel, labels = page.panel, page.bridge.labels
    session = page.bridge.session
    assert not panel.accept_all.isEnabled()
    page.find()
    assert "9 objects found. Dropped: " in panel.outcome.text()
    assert not labels.data.any(), "nothing is written yet"
    assert len(np.unique(page.shown[page.shown > 2])) > 4, "each has its colour"

    page.set("min_area", 40)
    page.settle()
    assert "1 object found." in panel.outcome.text()
    assert "too small" in panel.outcome.text()
    assert (page.shown > 2).sum() == 49
    assert (page.shown == 1).any(), "what was dropped is still seen"
    page.set("min_area", 0)
    page.settle()
    assert "9 objects found" in panel.outcome.text()

    page.user.press(",")
    assert not page.bridge.proposals.layer.visible
    assert panel.before.isChecked()
    page.user.press(",")
    assert page.bridge.proposals.layer.visible

    page.press(panel.accept_all)
    assert page.said == "Accepted 9 objects. Ctrl+Z takes them back."
    np.testing.assert_array_equal(labels.data > 0, discs() > 200)
    assert session.ids_in(FRAME) == tuple(range(1, 10))
    assert session.active == 10
    assert not page.bridge.proposals.layer.visible
    page.qtbot.waitUntil(lambda: len(page.widget.objects.table.texts()) == 9)
    page.qtbot.waitUntil(lambda: len(page.widget.review_panel.table.texts()) == 9)
    assert page.widget.pages.tabs.isTabEnabled(page.widget.review_page)
    page.qtbot.waitUntil(lambda: len(labels.features) == 10)
    assert set(labels.features["source"][1:]) == {"automatic"}

    object_id = int(labels.data[MIDDLE])
    page.user.click(MIDDLE, modifiers=SHIFT)
    page.user.ready()
    assert session.active == object_id
    page.user.click((32, 30))
    page.user.ready()
    assert session.anchors(object_id) == {FRAME}, "now it is the user's own"
    corrected = labels.data.copy()
    page.save()
    again = load(session.saved.folder, session.stack)
    np.testing.assert_array_equal(again.labels, corrected)
    assert sum(bool(a.found_by) for _, a in again.annotations()) == 8

    for _ in range(2):
        page.user.press("z", CONTROL)
        page.user.ready()
    page.settle()
    assert not labels.data.any()
    assert "9 objects found" in panel.outcome.text(), "what was found can be accepted again"
    page.user.press("z", CONTROL | SHIFT)
    page.settle()
    np.testing.assert_array_equal(labels.data > 0, discs() > 200)


def test_some_are_chosen_by_clicks_and_by_a_box(open_page) -> None:
    page = open_page(discs())
    panel, labels = page.panel, page.bridge.labels
    page.find()
    page.press(panel.accept_chosen)
    assert "No object is selected" in page.said
    for point in ((10, 10), (54, 54), MIDDLE, MIDDLE):
        page.user.click(point, modifiers=SHIFT)
        page.settle()
    assert panel.accept_chosen.text() == "Accept selected (2)"
    assert page.shown[10, 10] == 2
    assert page.shown[MIDDLE] > 2, "a second click lets go of it"
    page.press(panel.accept_chosen)
    assert set(np.argwhere(labels.data > 0).max(0)) == {57}
    assert len(np.unique(labels.data)) == 3
    assert "7 objects found" in panel.outcome.text()
    assert "annotated already" in panel.outcome.text()

    page.press(panel.draw)
    assert page.said == "Drag a box over the image."
    page.user.drag((25, 3), (60, 40))
    page.settle()
    assert page.user.viewer.layers.selection.active is page.bridge.points, "the tool is back"
    assert panel.accept_chosen.text() == "Accept selected (4)"
    page.press(panel.accept_chosen)
    assert len(np.unique(labels.data)) == 7
    page.user.click((32, 10), modifiers=SHIFT)
    page.user.ready()
    page.user.click((33, 10))
    page.user.ready()
    assert len(page.bridge.points.data) == 1, "a click corrects, and draws no other box"
    page.user.press("z", CONTROL)
    page.settle()
    page.user.press("z", CONTROL)
    page.settle()
    assert len(np.unique(labels.data)) == 3, "each is one step"
    page.press(panel.discard)
    assert not page.shown.any()
    assert not panel.accept_all.isEnabled()
    assert len(np.unique(labels.data)) == 3


def test_only_in_the_box_drawn_or_the_prompt_or_a_layer_of_ones_own(open_page) -> None:
    page = open_page(discs())
    panel = page.panel
    page.choose("where", "area")
    page.press(panel.run)
    assert "No box or polygon is drawn" in page.said
    page.choose("where", "frame")
    page.press(panel.draw)
    assert panel.options().where == "area", "there is nothing to select with it yet"
    page.user.click((20, 20))
    page.settle()
    page.press(panel.run)
    assert "no area" in page.said
    page.press(panel.draw)
    page.user.drag((2, 2), (62, 20))
    page.settle()
    page.find()
    assert "3 objects found" in panel.outcome.text()
    own = page.user.viewer.add_shapes([[(2, 2), (2, 62), (20, 62)]], shape_type="polygon")
    page.find()
    assert "2 objects found" in panel.outcome.text(), "the layer in hand counts first"
    own.data = [[(100, 100), (100, 120), (120, 120)]]
    page.press(panel.run)
    assert "outside" in page.said


def test_what_is_annotated_stays_and_what_was_found_makes_way(open_page) -> None:
    page = open_page(discs())
    labels, session = page.bridge.labels, page.bridge.session
    page.user.click(MIDDLE)
    page.user.ready()
    page.find()
    assert "8 objects found" in page.panel.outcome.text()
    page.press(page.panel.accept_all)
    assert session.ids_in(FRAME) == tuple(range(1, 10))
    page.find()
    assert "No new object passes the filters. Dropped: " in page.panel.outcome.text()
    page.panel.control("replaces").setChecked(True)
    page.settle()
    assert "8 objects found" in page.panel.outcome.text()
    before = labels.data.copy()
    page.press(page.panel.accept_all)
    assert labels.data[MIDDLE] == 1
    assert session.ids_in(FRAME) == (1, *range(10, 18))
    page.user.press("z", CONTROL)
    page.settle()
    np.testing.assert_array_equal(labels.data, before)


def test_a_stack_frame_by_frame_linked_and_undone(open_page) -> None:
    stack = movie(4)
    page = open_page(stack, axis_labels=("t", "y", "x"))
    panel, labels = page.panel, page.bridge.labels
    page.choose("where", "stack")
    page.set("first_frame", 1)
    panel.link.setChecked(True)
    page.find()
    assert "27 objects found in 3 frames." in panel.outcome.text(), page.said
    page.user.viewer.dims.set_current_step(0, 3)
    page.settle()
    assert (page.shown > 2).any()
    page.user.viewer.dims.set_current_step(0, 0)
    page.settle()
    assert not page.shown.any(), "nobody looked there"
    page.press(panel.accept_all)
    assert not labels.data[0].any()
    np.testing.assert_array_equal(labels.data[1:] > 0, stack[1:] > 200)
    assert len(np.unique(labels.data)) == 10, "nine discs go through all frames"
    page.user.press("z", CONTROL)
    page.settle()
    assert not labels.data.any(), "landing and linking are one step"


def test_cancel_keeps_the_frames_that_are_done(open_page, hold) -> None:
    page = open_page(movie(4), axis_labels=("z", "y", "x"))
    panel, user = page.panel, page.user
    gate: Gate = hold(page.automatic.predictor.model.network)
    page.choose("where", "stack")
    page.qtbot.mouseClick(panel.run, LEFT)
    assert gate.entered.acquire(timeout=60)
    gate.let(1)
    page.qtbot.waitUntil(lambda: bool(page.automatic.run.proposals), timeout=60_000)
    assert "Finding objects: frame" in page.said
    page.qtbot.mouseClick(panel.run, LEFT)
    assert "A search is running already" in page.said
    page.widget.status.cancel.click()
    gate.open()
    page.settle()
    n_done = len(page.automatic.run.proposals)
    assert n_done in (1, 2), "the frame shown first was embedded before"
    page.press(panel.accept_all)
    assert page.bridge.labels.data.any((1, 2)).tolist() == [n < n_done for n in range(4)]
    assert user.viewer.layers.selection.active is page.bridge.points


def test_what_is_found_after_the_first_were_accepted_can_be_accepted_too(open_page, hold) -> None:
    stack = movie(5)
    page = open_page(stack, axis_labels=("z", "y", "x"))
    panel, labels = page.panel, page.bridge.labels
    gate: Gate = hold(page.automatic.predictor.model.network)
    page.choose("where", "stack")
    page.qtbot.mouseClick(panel.run, LEFT)
    assert gate.entered.acquire(timeout=60)
    for _ in range(2):  # what was found in the first frame is decided within the second
        gate.let(1)
        page.qtbot.waitUntil(lambda: bool(page.automatic.run.proposals), timeout=60_000)
    page.qtbot.waitUntil(panel.accept_all.isEnabled, timeout=60_000)
    page.qtbot.mouseClick(panel.accept_all, LEFT)
    gate.open()
    page.settle()
    was_accepted = labels.data.any((1, 2))
    assert was_accepted[0]
    assert not was_accepted[-1]
    n_left = 9 * int((~was_accepted).sum())
    assert f"{n_left} objects found in 5 frames." in panel.outcome.text()
    page.press(panel.accept_all)
    np.testing.assert_array_equal(labels.data > 0, stack > 200)
    assert len(np.unique(labels.data)) == 46
    assert not panel.accept_all.isEnabled()
    for _ in range(2):
        page.user.press("z", CONTROL)
        page.settle()
    assert not labels.data.any()
    assert "45 objects found in 5 frames." in panel.outcome.text()


def test_all_buttons_are_in_sight_in_a_low_window(open_page) -> None:
    page = open_page(discs())
    panel = page.panel
    page.user.viewer.window._qt_window.resize(1280, 800)
    page.find()
    page.settle()
    for button in (panel.run, panel.discard, panel.accept_chosen, panel.unfold):
        assert not button.visibleRegion().isEmpty(), button.text()
        assert button.visibleRegion().boundingRect() == button.rect(), button.text()
    assert panel.outcome.visibleRegion().boundingRect() == panel.outcome.rect()
    assert not panel.filters.isVisible()
    page.press(panel.unfold)
    assert panel.filters.isVisible()


def test_what_cannot_be_is_said(open_page) -> None:
    page = open_page(discs())
    page.find()
    page.set("max_area", 30)
    page.settle()
    page.set("min_area", 40)
    page.settle()
    assert "No object is of 40 pixels or more and of 30 or less" in page.said
    assert "8 objects found" in page.panel.outcome.text(), "what held before still does"
    page.press(page.panel.run)
    assert "No object is of 40" in page.said
    page.set("min_area", 0)
    page.set("max_area", 0)

    page.bridge.image.data = np.full((SIDE, SIDE), 20, np.uint8)
    page.user.ready()
    page.find()
    assert "No object passes the filters" in page.panel.outcome.text()
    page.press(page.panel.accept_all)
    assert "nothing to accept" in page.said
    assert not page.bridge.session.undo()

    page.automatic.predictor = None
    page.press(page.panel.run)
    assert "No model is loaded yet" in page.said
    page.user.viewer.layers.clear()
    page.qtbot.waitUntil(lambda: page.bridge is None)
    page.settle()
    page.press(page.panel.run)
    assert "There is no image to search" in page.said
    page.press(page.panel.draw)
    assert "There is no image to search" in page.said


def test_narrow_labels_are_widened(open_page) -> None:
    page = open_page(discs())
    image = page.bridge.image
    given = np.zeros((SIDE, SIDE), np.uint8)
    given[0, 0] = 250
    labels = new_labels(image, page.bridge.session.stack, given)
    page.user.viewer.add_layer(labels)
    page.widget.active.attach(image, labels)
    page.user.ready()
    page.find()
    page.press(page.panel.accept_all)
    assert labels.data.dtype == np.uint16
    assert set(np.unique(labels.data)) == {0, *range(250, 260)}


def test_another_picture_or_none_while_objects_are_looked_for(open_page, hold) -> None:
    page = open_page(movie(3))
    gate: Gate = hold(page.automatic.predictor.model.network)
    page.choose("where", "stack")
    page.qtbot.mouseClick(page.panel.run, LEFT)
    assert gate.entered.acquire(timeout=60)
    gate.let(1)
    page.qtbot.waitUntil(lambda: bool(page.automatic.run.proposals), timeout=60_000)
    page.bridge.image.data = np.stack([discs(3)] * 3)
    page.qtbot.waitUntil(lambda: "The image has changed" in page.panel.outcome.text())
    gate.open()
    page.settle()
    assert not page.shown.any()
    assert page.automatic.run is None
    page.find()
    page.user.viewer.layers.remove(page.bridge.image)
    page.qtbot.waitUntil(lambda: page.bridge is None)
    assert page.panel.outcome.text() == ""
    assert not any(isinstance(layer, Image) for layer in page.user.viewer.layers)
    assert "proposals" not in " ".join(layer.name for layer in page.user.viewer.layers)


def test_the_dock_closed_during_a_run(open_page, hold) -> None:
    page = open_page(movie(3))
    gate: Gate = hold(page.automatic.predictor.model.network)
    page.choose("where", "stack")
    page.qtbot.mouseClick(page.panel.run, LEFT)
    assert gate.entered.acquire(timeout=60)
    worker, layers = page.widget.worker, page.user.viewer.layers
    page.user.viewer.window.remove_dock_widget(page.widget)
    gate.open()
    page.qtbot.waitUntil(lambda: not worker.alive, timeout=60_000)
    assert [layer.name for layer in layers] == ["data", "data objects"]


def test_a_frame_larger_than_the_input_is_searched_in_tiles(open_page) -> None:
    picture = np.tile(discs(), (2, 3))
    page = open_page(picture)
    page.widget.source.cell_size.setValue(40)
    page.find()
    assert page.panel.outcome.text().startswith("54 objects found.")
    np.testing.assert_array_equal(page.shown > 2, picture > 100)
    page.press(page.panel.accept_all)
    np.testing.assert_array_equal(np.asarray(page.bridge.labels.data) > 0, picture > 100)
    assert len(np.unique(page.bridge.labels.data)) == 55
