"""Whether an axis is time or depth: as the image layer says, else as the user chooses."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from napari.layers import Image
from napari.layers._source import Source

from bright import SIDE, Bright
from napari_sam.plugin.controllers.propagation import through_of
from napari_sam.plugin.layers.network_input import letters_of, tell_channel_axis
from napari_sam.plugin.panels.stack import StackPanel
from napari_sam.session import load, save, session_path


@pytest.mark.parametrize(
    ("options", "through"),
    [
        ({}, {}),
        ({"axis_labels": ("t", "z", "y", "x")}, {0: "time", 1: "depth"}),
        ({"axis_labels": ("Time", "Slice", "y", "x")}, {0: "time", 1: "depth"}),
        ({"units": ("s", "um", "um", "um")}, {0: "time", 1: "depth"}),
        ({"units": ("pixel", "nm", "um", "um")}, {1: "depth"}),
        ({"units": ("um",) * 4, "axis_labels": ("t", "q", "y", "x")}, {0: "time", 1: "depth"}),
    ],
)
def test_labels_go_before_units(options: dict, through: dict[int, str]) -> None:
    image = Image(np.zeros((2, 3, 8, 8)), **options)
    assert dict(through_of(image, (0, 1))) == through


def test_the_page_shows_what_is_known_and_keeps_what_is_chosen(qtbot) -> None:
    panel = StackPanel()
    qtbot.addWidget(panel)
    panel.show_axes([(0, "t"), (1, "slider 1"), (2, "z")], 9, {0: "time", 2: "depth"})
    shown = []
    for row in range(3):
        panel.axis.setCurrentIndex(row)
        shown.append(panel.through.currentData())
    assert shown == ["time", None, "depth"]
    assert panel.chosen_through(1) is None, "nobody said so"
    panel.axis.setCurrentIndex(1)
    panel.through.setCurrentIndex(1)
    panel.through.activated.emit(1)
    panel.axis.setCurrentIndex(0)
    panel.axis.setCurrentIndex(1)
    assert panel.through.currentData() == panel.chosen_through(1) == "depth"


@pytest.mark.parametrize(
    ("letters", "through"),
    [("TZYX", {0: "time", 1: "depth"}), ("QZYX", {1: "depth"}), ("", {}), ("IQYX", {})],
)
def test_what_a_file_says_goes_after_the_layer(letters: str, through: dict[int, str]) -> None:
    assert dict(through_of(Image(np.zeros((2, 3, 8, 8))), (0, 1), letters)) == through
    told = Image(np.zeros((2, 3, 8, 8)), axis_labels=("z", "t", "y", "x"))
    assert dict(through_of(told, (0, 1), letters)) == {0: "depth", 1: "time"}


def test_the_letters_of_a_file_are_those_of_its_frames(tmp_path) -> None:
    tifffile.imwrite(
        path := tmp_path / "a.tif",
        pixels := np.zeros((2, 3, 8, 8), np.uint8),
        imagej=True,
        metadata={"axes": "ZCYX"},
    )
    image = Image(pixels)
    image._set_source(Source(path=str(path)))
    tell_channel_axis(image, 1)
    assert letters_of(image) == "ZYX"


def test_nobody_knows_so_the_panel_asks_once(open_window, tmp_path) -> None:
    volume = np.full((4, SIDE, SIDE), 20, np.uint8)
    volume[:, 20:40, 20:40] = 220
    user = open_window(volume, Bright())
    widget, asked = user.widget, "⚠ Is slider -3 (4 frames) time or depth?"
    user.viewer.dims.set_current_step(0, 0)
    user.ready()
    user.click((0, 30, 30))
    user.ready()
    user.press(".")
    assert not widget.propagation.runs
    assert widget.status.text.text().startswith(asked)
    assert widget.pages.tabs.currentIndex() == widget.stack_page
    through = widget.stack.through
    assert through.currentIndex() == -1
    through.setCurrentIndex(through.findData("depth"))
    through.activated.emit(through.currentIndex())
    user.press(".")
    user.qtbot.waitUntil(lambda: bool(widget.propagation.runs))
    user.qtbot.waitUntil(lambda: not widget.propagation.runs, timeout=60_000)
    session = widget.bridge.session
    assert (session.labels[:, 30, 30] == 1).all()
    assert session.through == {0: "depth"}
    save(session, folder := session_path(tmp_path / "volume.tif"))
    assert load(folder, session.stack).through == {0: "depth"}
