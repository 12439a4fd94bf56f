"""A folder of images annotated one after the other in a real window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt

from napari_sam.plugin.sessions.folder import look_at
from napari_sam.plugin.sessions.places import source_of
from napari_sam.session import is_session, session_path

LEFT = Qt.MouseButton.LeftButton
PATIENCE_MS = 60_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images with two bright squares each, one that is none, and labels of one."""
    path = tmp_path / "images"
    path.mkdir()
    for n in (1, 2, 10):
        pixels = np.zeros((64, 64), np.uint8)
        pixels[10:25, 10:25] = pixels[30:50, 40:60] = 200 + n
        tifffile.imwrite(path / f"cell{n}.tif", pixels)
    tifffile.imwrite(path / "cell1.labels.tif", np.zeros((64, 64), np.uint8))
    (path / "cell3.tif").write_bytes(b"this is no image")
    (path / "notes.txt").write_text("none either")
    return path


@pytest.fixture
def browse(open_stack, folder: Path):
    """A window with the folder opened from the panel, its first image annotated."""
    user = open_stack(np.zeros((64, 64), np.uint8), name="before")
    user.widget.source.folder_chosen.emit(str(folder))
    on(user, "cell1.tif")
    user.qtbot.waitUntil(lambda: user.widget.downloads.idle, timeout=PATIENCE_MS)
    return user


def on(user, name: str) -> None:
    """Wait until an image of the folder is annotated."""

    def is_there() -> bool:
        bridge = user.widget.bridge
        path = None if bridge is None else source_of(bridge.image)
        return path is not None and path.name == name

    user.qtbot.waitUntil(is_there, timeout=PATIENCE_MS)
    user.ready()


def texts(user) -> list[str]:
    strip = user.widget.strip.strip
    return [strip.item(n).text() for n in range(strip.count())]


def test_one_after_the_other_and_back(browse, folder: Path) -> None:
    user, widget = browse, browse.widget
    assert [text.splitlines() for text in texts(user)] == [
        ["cell1.tif", "new"],
        ["cell2.tif", "new"],
        ["cell3.tif", "cannot be read"],
        ["cell10.tif", "new"],
    ]
    assert "0 of 4 done" in widget.strip.text.text()
    assert widget.strip.strip.currentRow() == 0
    assert widget.bridge.image.contrast_limits == [0, 201]  # of the data, not of all bytes

    # An object, then the next image by its key: nothing of the first one stays in the window
    user.refit()
    user.click((15, 15))
    user.ready()
    n_pixels = np.count_nonzero(widget.bridge.labels.data)
    assert n_pixels
    user.qtbot.waitUntil(lambda: texts(user)[0] == "cell1.tif\nannotated, 1 object")
    first = widget.bridge.image
    user.press(Qt.Key.Key_PageDown)
    on(user, "cell2.tif")
    assert first not in user.viewer.layers
    assert [layer.name for layer in user.viewer.layers if "cell1" in layer.name] == []
    assert "before" in user.viewer.layers
    assert is_session(session_path(folder / "cell1.tif"))
    user.qtbot.waitUntil(lambda: "1 object" in texts(user)[0], timeout=PATIENCE_MS)
    assert texts(user)[0] == "cell1.tif\nannotated, 1 object"

    # A file that cannot be read is said, and the image shown stays
    user.press(Qt.Key.Key_PageDown)
    user.qtbot.waitUntil(lambda: "cell3.tif" in widget.status.text.text(), timeout=PATIENCE_MS)
    assert source_of(widget.bridge.image) == folder / "cell2.tif"
    assert widget.strip.strip.currentRow() == 1

    # Back: as it was left
    user.press(Qt.Key.Key_PageUp)
    on(user, "cell1.tif")
    assert np.count_nonzero(widget.bridge.labels.data) == n_pixels


def test_done_and_the_filter(browse, folder: Path) -> None:
    user, widget = browse, browse.widget
    user.qtbot.mouseClick(widget.strip.done, LEFT)
    on(user, "cell2.tif")
    user.qtbot.waitUntil(lambda: look_at(folder / "cell1.tif").status == "done")
    assert texts(user)[0] == "cell1.tif\ndone"
    assert "1 of 4 done" in widget.strip.text.text()

    # What is shown is what is gone to
    which = widget.strip.which
    which.setCurrentIndex(which.findData("done"))
    which.activated.emit(which.currentIndex())
    strip = widget.strip.strip
    assert [strip.item(n).isHidden() for n in range(4)] == [False, False, True, True]
    user.qtbot.mouseClick(widget.strip.next, LEFT)
    assert "no other image" in widget.status.text.text()
    user.qtbot.mouseClick(widget.strip.previous, LEFT)
    on(user, "cell1.tif")

    # Looked through again, it begins where there is something to do
    widget.source.folder_chosen.emit(str(folder))
    which.setCurrentIndex(0)
    user.qtbot.waitUntil(lambda: len(texts(user)) == 4 and texts(user)[0].endswith("done"))


def test_the_next_image_is_embedded_ahead(browse) -> None:
    user, widget = browse, browse.widget
    user.qtbot.waitUntil(lambda: widget.worker.idle and widget.downloads.idle, timeout=PATIENCE_MS)
    n_encoded = user.network.n_encoded
    user.press(Qt.Key.Key_PageDown)
    on(user, "cell2.tif")
    assert user.network.n_encoded == n_encoded


def test_an_image_that_cannot_be_saved_stays_open(browse, folder, monkeypatch) -> None:
    user, widget = browse, browse.widget
    user.refit()
    user.click((15, 15))
    user.ready()
    monkeypatch.setattr(widget.folder, "_settle", lambda: "The disk is full.")
    user.press(Qt.Key.Key_PageDown)
    user.qtbot.waitUntil(lambda: "The disk is full." in widget.status.text.text())
    assert source_of(widget.bridge.image) == folder / "cell1.tif"
    assert np.count_nonzero(widget.bridge.labels.data)


def test_an_empty_folder_and_one_that_is_gone(open_stack, tmp_path: Path) -> None:
    user = open_stack(np.zeros((64, 64), np.uint8))
    widget = user.widget
    (tmp_path / "empty").mkdir()
    widget.source.folder_chosen.emit(str(tmp_path / "empty"))
    user.qtbot.waitUntil(lambda: "no image" in widget.strip.text.text(), timeout=PATIENCE_MS)
    widget.source.folder_chosen.emit(str(tmp_path / "gone"))
    user.qtbot.waitUntil(lambda: "cannot be read" in widget.status.text.text(), timeout=PATIENCE_MS)
    assert widget.bridge is not None


def test_the_panel_closed_takes_the_strip_with_it(browse) -> None:
    user, widget = browse, browse.widget
    user.viewer.window.remove_dock_widget(widget)
    assert "Folder" not in user.viewer.window.dock_widgets


def test_back_on_the_image_shown_while_another_one_is_read(browse, folder: Path) -> None:
    user, widget = browse, browse.widget
    widget.strip.image_chosen.emit(3)
    widget.strip.image_chosen.emit(0)
    user.qtbot.waitUntil(lambda: widget.downloads.idle, timeout=PATIENCE_MS)
    user.ready()
    assert source_of(widget.bridge.image) == folder / "cell1.tif"
    assert "0 of 4 done" in widget.strip.text.text()
