"""Whether an axis is time or depth: as the image layer says, else as the user chooses."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_sam.plugin.controllers.propagation import through_of
from napari_sam.plugin.panels.stack import StackPanel


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
    assert shown == ["time", "time", "depth"]
    assert panel.chosen_through(1) is None, "taken for time, but nobody said so"
    panel.axis.setCurrentIndex(1)
    panel.through.setCurrentIndex(1)
    panel.through.activated.emit(1)
    panel.axis.setCurrentIndex(0)
    panel.axis.setCurrentIndex(1)
    assert panel.through.currentData() == panel.chosen_through(1) == "depth"
