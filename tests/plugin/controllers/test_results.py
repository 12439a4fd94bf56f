"""Objects measured, chosen in the plot, and exported, in a real window."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from npe2 import PluginManager
from PIL import Image
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_sam.engine import Cancelled, Labelled, read_image
from napari_sam.formats import FORMATS, export, find_format
from napari_sam.plugin.layers.labelled import watched
from napari_sam.plugin.work.jobs import Job

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def squares() -> np.ndarray:
    """Five squares; the sides are 4, 6, 8, 10 and 12."""
    labels = np.zeros((40, 100), np.uint16)
    for n in range(5):
        side = 4 + 2 * n
        labels[5 : 5 + side, 20 * n + 2 : 20 * n + 2 + side] = n + 1
    return labels


def image() -> np.ndarray:
    return np.where(squares() > 0, 50 + 10 * squares(), 9).astype(np.uint8)


def drag_around(user, *corners: tuple[float, float]) -> None:
    """Drag the mouse over the plot along these corners and back, in units of its axes."""
    plot = user.widget.measurements.plot
    surface = plot.surface
    path = [plot.place_of(*corner) for corner in (*corners, corners[0])]
    QTest.mousePress(surface, LEFT, NONE, path[0].toPoint())
    for one, other in pairwise(path):
        for share in (0.25, 0.5, 0.75, 1.0):
            move(surface, one + (other - one) * share)
    QTest.mouseRelease(surface, LEFT, NONE, path[-1].toPoint())


def move(surface: QWidget, at: QPointF) -> None:
    """Move the mouse with its button held, which QTest's own moves have not."""
    everywhere = surface.mapToGlobal(at)
    event = QMouseEvent(QEvent.Type.MouseMove, at, everywhere, Qt.MouseButton.NoButton, LEFT, NONE)
    QApplication.sendEvent(surface, event)
    QTest.qWait(10)


def measured(user) -> None:
    """Press the button, and wait."""
    user.qtbot.mouseClick(user.widget.measurements.run, LEFT)
    user.qtbot.waitUntil(lambda: not user.widget.measuring.is_busy, timeout=60_000)
    user.ready()


def test_measured_chosen_saved_and_exported(open_results, tmp_path: Path) -> None:
    user = open_results(image(), squares(), scale=(0.5, 0.5), units=("um", "um"))
    widget, qtbot = user.widget, user.qtbot
    panel, exports = widget.measurements, widget.exports

    measured(user)
    assert "5 objects measured" in panel.text.text()
    table = widget.measuring.table
    assert table["area_um2"].tolist() == [4, 9, 16, 25, 36]
    assert panel.axes == ("area_um2", "")
    title = panel.plot._plot.getAxis("bottom").label
    lowest = title.mapRectToScene(title.boundingRect()).bottom()
    assert lowest <= panel.plot._plot.sceneRect().bottom(), "its letters are whole"
    features = widget.bridge.labels.features.set_index("index")
    assert features.loc[3, "area_um2"] == 16

    # A lasso around points chooses objects in the list
    panel.across.setCurrentIndex(panel.across.findData("area_um2"))
    panel.up.setCurrentIndex(panel.up.findData("intensity_mean"))
    qtbot.wait(50)
    drag_around(user, (14, 75), (14, 95), (27, 95), (27, 75))
    assert widget.objects.chosen() == [3, 4]
    assert "2 objects chosen" in panel.text.text()

    # A range of the histogram, too; and what is chosen in the list is marked in the plot
    panel.up.setCurrentIndex(0)
    qtbot.wait(50)
    drag_around(user, (20, 0.5), (30, 0.5))
    assert widget.objects.chosen() == [4]
    widget.objects.choose([1, 5])
    assert panel.plot._chosen_bars.opts["height"].sum() == 2

    # Saved as they are seen
    for name in ("table.csv", "plot.png", "plot.svg"):
        save = panel.table_chosen if name == "table.csv" else panel.plot_chosen
        save.emit(str(tmp_path / name))
        assert f"{name} is written" in panel.text.text()
    assert len(pd.read_csv(tmp_path / "table.csv")) == 5
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.width == 1600
    svg = (tmp_path / "plot.svg").read_text()
    assert "<svg" in svg
    assert "area_um2" in svg  # text stays text

    # Exported: all, then those chosen
    def exported(name: str, what: str) -> Path:
        path = tmp_path / f"{what}{FORMATS[name].suffixes[0]}"
        exports.what.setCurrentIndex(exports.what.findData(what))
        exports.format.setCurrentIndex(exports.format.findData(name))
        exports.export_chosen.emit(str(path))
        qtbot.waitUntil(lambda: exports.run.isEnabled(), timeout=60_000)
        return path

    pixels = np.asarray(read_image(exported("tiff", "all"))[0])
    np.testing.assert_array_equal(pixels, squares())
    content = json.loads(exported("geojson", "chosen").read_text())
    assert [each["properties"]["name"] for each in content["features"]] == ["1", "5"]
    assert "chosen.geojson is written" in exports.text.text()
    assert "size of a pixel is lost" in exports.text.text()
    assert exports.show_folder.isEnabled()

    # What cannot be written is told, and what changed since is said
    panel.table_chosen.emit(str(tmp_path / "table.doc"))
    assert "cannot be saved as table.doc" in widget.status.text.text()
    widget.objects.choose([1, 5])
    widget.objects.menu.entries["hide"].trigger()
    labels = widget.bridge.labels
    assert [labels.get_color(i)[3] for i in (1, 2, 5)] == [0, 1, 0]
    assert "Objects 1 and 5 are hidden" in widget.status.text.text()
    widget.object_actions.show_possible()
    assert widget.objects.menu.entries["show"].isEnabled()
    widget.objects.menu.entries["show"].trigger()
    assert labels.get_color(5)[3] == 1

    widget.objects.choose([1])
    widget.bridge.select(1)
    widget.object_actions.do("delete here")
    user.ready()
    qtbot.waitUntil(lambda: "measure again" in panel.text.text(), timeout=60_000)
    measured(user)
    assert widget.measuring.table["object_id"].tolist() == [2, 3, 4, 5]


def test_an_export_cancelled_and_one_overtaken(open_results, tmp_path: Path) -> None:
    """Nothing of a file given up is left; objects changed while they were written are told."""
    labels = np.stack([squares()] * 40)
    user = open_results((labels > 0).astype(np.uint8) * 99, labels, axis_labels=("t", "y", "x"))
    widget, qtbot, exports = user.widget, user.qtbot, user.widget.exports
    exports.format.setCurrentIndex(exports.format.findData("tiff"))
    folder = tmp_path / "exports"
    folder.mkdir()
    gate = threading.Event()  # small files are written sooner than one can click
    held = Job("held", lambda report: gate.wait(60), lambda _: None, raise_)
    widget.worker.submit(held)
    exports.export_chosen.emit(str(folder / "given up.tif"))
    assert not exports.run.isEnabled()
    qtbot.mouseClick(widget.status.cancel, LEFT)
    assert exports.run.isEnabled()
    gate.set()
    qtbot.waitUntil(lambda: widget.worker.idle, timeout=60_000)
    assert not list(folder.iterdir())
    exports.export_chosen.emit(str(folder / "overtaken.tif"))
    widget.bridge.select(1)
    widget.object_actions.do("delete here")
    qtbot.waitUntil(lambda: exports.run.isEnabled(), timeout=60_000)
    assert "changed while they were written" in exports.text.text()
    assert (folder / "overtaken.tif").is_file()


def test_an_export_stopped_while_it_reads_leaves_nothing(tmp_path: Path) -> None:
    frames = iter(range(3))

    def read_or_stop() -> None:
        if next(frames, None) is None:
            raise Cancelled

    objects = Labelled.of(np.stack([squares()] * 40), axes="TYX")
    with pytest.raises(Cancelled):
        export(watched(objects, read_or_stop), tmp_path / "given up.tif")
    assert next(frames, None) is None
    assert not list(tmp_path.iterdir())


def raise_(error: Exception) -> None:
    raise error


def test_a_curve_a_track(open_results) -> None:
    labels = np.stack([np.roll(squares(), t, axis=1) for t in range(3)])
    pixels = (labels > 0).astype(np.uint8) * 99
    user = open_results(pixels, labels, axis_labels=("t", "y", "x"))
    widget = user.widget
    measured(user)
    panel = widget.measurements
    panel.across.setCurrentIndex(panel.across.findData("t"))
    panel.up.setCurrentIndex(panel.up.findData("centroid_x_px"))
    assert panel.plot._lines.opts["connect"].tolist() == [1, 1, 0] * 5
    assert widget.measuring.table["object_id"].tolist() == sorted([1, 2, 3, 4, 5] * 3)


@pytest.mark.filterwarnings("ignore:.* is lost")  # what a format cannot hold is said
@pytest.mark.filterwarnings("ignore:.* are lost")
def test_file_save_reaches_every_writer(tmp_path: Path) -> None:
    """By the manifest, as napari's own dialog does."""
    manager = PluginManager.instance()
    manager.discover()
    manifest = manager.get_manifest("napari-sam-annotator")
    attributes = {
        "scale": (0.5, 0.5),
        "units": ("micrometer", "micrometer"),
        "axis_labels": ("y", "x"),
    }
    for writer in manifest.contributions.writers:
        (ending,) = writer.filename_extensions
        path = tmp_path / f"saved{ending}"
        (command,) = (c for c in manifest.contributions.commands if c.id == writer.command)
        assert command.exec((str(path), squares(), attributes)) == [str(path)]
        assert path.exists()
        assert find_format(None, path).suffixes[0] == ending


def test_objects_of_a_volume_as_surfaces(open_results) -> None:
    labels = np.zeros((8, 40, 40), np.uint16)
    labels[2:6, 5:15, 5:15], labels[1:7, 20:35, 20:30] = 1, 4
    user = open_results((labels > 0) * np.uint8(99), labels, scale=(2, 0.5, 0.5))
    widget, exports = user.widget, user.widget.exports
    user.qtbot.mouseClick(exports.surfaces, LEFT)
    layers = user.viewer.layers
    name = f"{widget.bridge.labels.name} surfaces"
    user.qtbot.waitUntil(lambda: name in layers, timeout=60_000)
    layer = layers[name]
    np.testing.assert_allclose(layer.extent.world[0], [1, 2.25, 2.25])  # borders of pixels
    np.testing.assert_allclose(layer.extent.world[1], [13, 17.25, 14.75])
    seen = np.unique(layer.vertex_colors[:, :3], axis=0)
    wanted = [widget.bridge.labels.get_color(object_id)[:3] for object_id in (1, 4)]
    np.testing.assert_allclose(seen, np.unique(wanted, axis=0), atol=1e-6)
    assert layers.selection.active is not layer
    assert "2 objects" in widget.status.text.text()
    user.qtbot.mouseClick(exports.surfaces, LEFT)
    user.ready()
    assert sum("surfaces" in each.name for each in layers) == 1
