"""Prompts of layers and files, in a real window: looked at, segmented, cancelled, undone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from bright import SIDE

LEFT = Qt.MouseButton.LeftButton
CENTRES = ((12, 12), (12, 44), (44, 12), (44, 44))


def movie(n: int = 3) -> np.ndarray:
    """Four bright squares in each frame, and a grey line that makes it another picture."""
    frames = np.full((n, SIDE, SIDE), 20, np.uint8)
    for t in range(n):
        frames[t, 28, : 10 + 10 * t] = 90
    for y, x in CENTRES:
        frames[:, y - 4 : y + 5, x - 4 : x + 5] = 220
    return frames


@pytest.fixture
def open_prompts(open_stack):
    """A window on the squares, the panel of prompts in front."""

    def open_(data: np.ndarray | None = None, **options):
        user = open_stack(movie() if data is None else data, **options)
        user.widget.pages.tabs.setCurrentIndex(user.widget.automatic_page)
        return user

    return open_


def choose(user, name: str) -> None:
    """Choose a layer in the panel, and wait until it is looked at."""
    panel = user.widget.prompt_panel
    user.qtbot.waitUntil(lambda: panel.source.findText(name) >= 0, timeout=60_000)
    panel.source.setCurrentIndex(panel.source.findText(name))
    panel.source.activated.emit(panel.source.currentIndex())
    looked_at(user)


def drop(user, path: Path) -> None:
    """Drop a file on the panel."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    event = QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, buttons, keys)
    user.widget.prompt_panel.dropEvent(event)
    looked_at(user)


def looked_at(user) -> None:
    panel = user.widget.prompt_panel
    user.qtbot.waitUntil(
        lambda: user.widget.worker.idle and panel.text.text() != "Reading …", timeout=60_000
    )
    user.ready()


def segment(user) -> None:
    """Press the button, and wait."""
    user.qtbot.mouseClick(user.widget.prompt_panel.run, LEFT)
    user.qtbot.waitUntil(lambda: not user.widget.prompting.is_busy, timeout=60_000)
    user.ready()


def ids_at(user, frame: int) -> list[int]:
    labels = user.widget.bridge.session.labels
    return [int(labels[frame][at]) for at in CENTRES]


def test_points_of_a_layer_become_objects_in_one_step_of_undo(open_prompts) -> None:
    user = open_prompts()
    panel, session = user.widget.prompt_panel, user.widget.bridge.session
    places = [(0, *CENTRES[0]), (0, *CENTRES[1]), (2, *CENTRES[0]), (9, 1, 1), (1, 900, 1)]
    features = pd.DataFrame({"object_id": [5, 6, 5, 7, 8], "class": [*"aba", "", ""]})
    user.viewer.add_points(places, name="spots", features=features)
    choose(user, "spots")
    assert "2 objects in 2 frames: 3 points." in panel.text.text()
    assert "point 3: the image has no such frame" in panel.text.text()
    assert panel.run.text() == "Segment 3 objects"
    segment(user)
    assert ids_at(user, 0) == [5, 6, 0, 0]
    assert ids_at(user, 1) == [0, 0, 0, 0]
    assert ids_at(user, 2) == [5, 0, 0, 0]
    assert {i: given.name for i, given in session.classes.given.items()} == {5: "a", 6: "b"}
    assert panel.text.text().startswith("2 objects segmented.")
    user.widget.active.undo()
    assert not session.labels.any()
    assert not session.classes.given
    user.widget.active.redo()
    assert ids_at(user, 0) == [5, 6, 0, 0]


def test_objects_can_be_corrected_like_any_other(open_prompts) -> None:
    user = open_prompts()
    session = user.widget.bridge.session
    user.viewer.add_points([(0, *CENTRES[0])], name="spots")
    choose(user, "spots")
    segment(user)
    assert session.active == 2, "the next click makes an object of its own"
    user.widget.bridge.select(1)
    assert len(user.widget.bridge.points.data) == 1
    frame = user.widget.bridge.frame
    assert session.annotation(1, frame).is_own
    user.viewer.layers.selection.active = user.widget.bridge.points
    user.widget.tool_choice.use_tool("point")
    user.click((0, *CENTRES[1]))
    user.ready()
    assert ids_at(user, 0) == [1, 1, 0, 0]


def test_what_is_annotated_keeps_its_pixels_and_numbers(open_prompts) -> None:
    user = open_prompts()
    user.click((0, *CENTRES[0]))
    user.ready()
    assert ids_at(user, 0) == [1, 0, 0, 0]
    labels = np.zeros((SIDE, SIDE), np.uint16)
    for n, (y, x) in enumerate(CENTRES, start=1):
        labels[y - 3 : y + 2, x - 2 : x + 4] = n
    user.viewer.add_labels(labels, name="of another tool")
    choose(user, "of another tool")
    assert "4 objects: 4 masks." in user.widget.prompt_panel.text.text()
    segment(user)
    assert ids_at(user, 0) == [1, 2, 3, 4], "object 1 stays, and only number 1 is given anew"
    assert "1 found nothing new" in user.widget.prompt_panel.text.text()
    assert user.widget.bridge.session.labels[0, 8, 44] == 2, "more than the mask it was asked by"


def test_masks_as_boxes_and_only_sure_ones(open_prompts) -> None:
    user = open_prompts()
    panel = user.widget.prompt_panel
    boxes = [
        np.array([[0, y - 4, x - 4], [0, y - 4, x + 4], [0, y + 4, x + 4], [0, y + 4, x - 4]])
        for y, x in CENTRES
    ]
    scores = pd.DataFrame({"score": [0.9, 0.2, 0.6, 0.1]})
    user.viewer.add_shapes(boxes, name="boxes", features=scores)
    choose(user, "boxes")
    assert panel.run.text() == "Segment 4 objects"
    panel.form.control("min_score").setValue(0.5)
    looked_at(user)
    assert panel.run.text() == "Segment 2 objects"
    assert not panel.form.control("shape").isVisible()
    segment(user)
    assert ids_at(user, 0) == [1, 0, 3, 0]


def test_a_file_dropped_on_the_panel(open_prompts, tmp_path: Path) -> None:
    user = open_prompts()
    path = tmp_path / "found.csv"
    path.write_text("object_id,t,y,x\n3,1,12,44\n4,1,44,nan\n")
    drop(user, path)
    panel = user.widget.prompt_panel
    assert panel.source.currentText() == "found.csv"
    assert "found.csv: 1 left out, line 3: x is 'nan'" in panel.text.text()
    segment(user)
    assert ids_at(user, 1) == [0, 3, 0, 0]


def test_a_file_that_is_none_is_told_and_changes_nothing(open_prompts, tmp_path: Path) -> None:
    user = open_prompts()
    path = tmp_path / "broken.json"
    path.write_text('{"images": [')
    drop(user, path)
    assert "ends too early" in user.widget.status.text.text()
    assert not user.widget.prompt_panel.run.isEnabled()
    assert not user.widget.bridge.session.labels.any()


def test_cancelled_what_landed_is_one_step_of_undo(open_prompts, hold) -> None:
    user = open_prompts(movie(6))
    user.viewer.add_points([(t, *CENTRES[0]) for t in range(6)], name="spots")
    choose(user, "spots")
    gate = hold(user.network)
    user.qtbot.mouseClick(user.widget.prompt_panel.run, LEFT)
    user.qtbot.waitUntil(lambda: ids_at(user, 0) == [1, 0, 0, 0], timeout=60_000)
    user.qtbot.waitUntil(lambda: gate.entered.acquire(blocking=False), timeout=60_000)
    user.widget.status.cancel.click()
    gate.open()
    user.qtbot.waitUntil(lambda: user.widget.worker.idle, timeout=60_000)
    assert not user.widget.prompting.is_busy
    assert user.widget.prompt_panel.text.text().startswith("Cancelled. ")
    assert ids_at(user, 5) == [0, 0, 0, 0]
    user.widget.active.undo()
    assert not user.widget.bridge.session.labels.any()


def test_a_layer_that_is_removed_is_no_source_any_more(open_prompts) -> None:
    user = open_prompts()
    panel = user.widget.prompt_panel
    own = {panel.source.itemText(n) for n in range(panel.source.count())}
    kinds = {"—", "Words …", "A file …", "These labels, refined"}
    assert own == kinds, "the annotation's own layers are none"
    user.viewer.add_points([(0, *CENTRES[0])], name="spots")
    choose(user, "spots")
    assert panel.run.isEnabled()
    user.viewer.layers.remove("spots")
    user.qtbot.waitUntil(lambda: panel.source.findText("spots") < 0, timeout=60_000)
    assert not panel.run.isEnabled()


def test_labels_of_another_tool_are_refined_and_the_rest_is_listed(open_prompts) -> None:
    user = open_prompts()
    widget, labels = user.widget, np.zeros((3, SIDE, SIDE), np.uint16)
    for n, (y, x) in enumerate(CENTRES, start=1):
        labels[0, y - 2 : y + 3, x - 3 : x + 4] = 5 * n
    labels[2, 24:32, 24:32] = 99  # nothing bright is there
    user.viewer.add_labels(labels, name="theirs")
    user.qtbot.waitUntil(lambda: widget.source.labels.findText("theirs") > 0, timeout=60_000)
    index = widget.source.labels.findText("theirs")
    widget.source.labels.setCurrentIndex(index)
    widget.source.labels.activated.emit(index)
    user.qtbot.waitUntil(lambda: widget.bridge.labels.name == "theirs", timeout=60_000)
    user.ready()
    user.click((0, 31, 31))  # an object of the user's own
    user.ready()
    choose(user, "These labels, refined")
    panel, session = widget.prompt_panel, widget.bridge.session
    panel.rules.control("min_iou").setValue(0.3)
    assert panel.rules.isVisible()
    user.qtbot.mouseClick(panel.run, LEFT)
    user.qtbot.waitUntil(lambda: not widget.refining.is_busy, timeout=60_000)
    user.ready()
    assert panel.text.text() == "4 of 5 objects refined. 1 is kept as before: see Review."
    assert [(session.labels[0] == 5 * n).sum() for n in (1, 2, 3, 4)] == [81] * 4
    user.qtbot.waitUntil(lambda: bool(widget.review.entries), timeout=60_000)
    (entry,) = widget.review.entries
    assert entry.object_id == 99
    assert entry.why.startswith("The model found nothing there")
    widget.active.undo()
    np.testing.assert_array_equal(session.labels[0] > 99, labels[0] > 99)
    assert (session.labels[0] == 5).sum() == 35


def menu_entry(viewer):
    """“Use as prompts” in the menu Layers → Annotate, as napari shows it now."""
    menu = viewer.window.layers_menu
    menu.aboutToShow.emit()
    annotate = next(each.menu() for each in menu.actions() if each.text() == "Annotate")
    return annotate.findAction("napari-sam-annotator.use_as_prompts")


def test_a_layer_is_used_as_prompts_from_the_menu_of_layers(open_prompts) -> None:
    user = open_prompts()
    viewer, panel = user.viewer, user.widget.prompt_panel
    user.widget.pages.tabs.setCurrentIndex(0)
    viewer.add_points([(0, *CENTRES[0]), (0, *CENTRES[1])], name="spots")
    viewer.layers.selection.active = user.widget.bridge.image
    assert not menu_entry(viewer).isVisible()
    viewer.layers.selection.active = viewer.layers["spots"]
    assert menu_entry(viewer).isVisible()
    menu_entry(viewer).trigger()
    looked_at(user)
    assert user.widget.pages.tabs.currentIndex() == user.widget.automatic_page
    assert panel.source.currentText() == "spots"
    assert panel.run.text() == "Segment 2 objects"
    viewer.layers.selection.active = user.widget.bridge.labels
    menu_entry(viewer).trigger()
    assert "is what is annotated here" in user.widget.status.text.text()


def test_the_menu_opens_the_widget_where_it_is_not_open(make_napari_viewer, qtbot) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(movie()[0])
    viewer.add_points([CENTRES[0]], name="spots")
    menu_entry(viewer).trigger()
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam-annotator")
    qtbot.waitUntil(lambda: widget.prompt_panel.run.text() == "Segment 1 object", timeout=60_000)
    assert widget.prompt_panel.source.currentText() == "spots"
