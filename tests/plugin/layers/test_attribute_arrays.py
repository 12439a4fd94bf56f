"""Layers leave a real window, and OpenGL reads nothing that was theirs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import napari
import numpy as np
import pytest
from napari.components import ViewerModel
from skimage import data

from napari_sam.plugin.layers import AttributeArrays

CLEARED = Path(__file__).resolve().parents[2] / "cleared_layers.py"
WAYS = {
    "one is removed": lambda viewer: viewer.layers.remove("points"),
    "one is popped": lambda viewer: viewer.layers.pop(),
    "a slice is deleted": lambda viewer: viewer.layers.__delitem__(slice(1, None)),
    "all are cleared": lambda viewer: viewer.layers.clear(),
    "all are selected and deleted": lambda viewer: (
        viewer.layers.select_all(),
        viewer.layers.remove_selected(),
    ),
    "one is moved to another viewer": lambda viewer: ViewerModel().layers.append(
        viewer.layers.pop()
    ),
}


@pytest.fixture
def open_viewer(make_napari_viewer, qtbot):
    """Open a window with an image, and layers of points and shapes that were drawn."""

    def open_() -> napari.Viewer:
        viewer = make_napari_viewer(show=True)
        fill(viewer)
        qtbot.wait(100)
        return viewer

    return open_


def fill(viewer: napari.Viewer) -> None:
    viewer.add_image(data.coins(), name="image")
    viewer.add_shapes([[[40, 40], [80, 80]]], name="shapes")
    viewer.add_points([[60, 60]], name="points")


def test_none_stays_enabled_when_layers_go(open_viewer, qtbot) -> None:
    viewer = open_viewer()
    arrays = AttributeArrays(viewer)
    for name, way in WAYS.items():
        assert arrays.enabled, name
        way(viewer)
        assert arrays.enabled == [], name
        viewer.layers.clear()
        fill(viewer)
        qtbot.wait(100)
        assert viewer.screenshot(canvas_only=True, flash=False)[..., :3].any(), name


def test_each_viewer_has_its_own(open_viewer, qtbot) -> None:
    first, second = open_viewer(), open_viewer()
    arrays, others = AttributeArrays(first), AttributeArrays(second)
    first.layers.clear()
    assert arrays.enabled == [] != others.enabled
    second.layers.append(napari.layers.Points([[1, 1]]))
    first.layers.append(second.layers.pop(0))
    assert others.enabled == []
    qtbot.wait(100)


def test_closed_it_does_nothing_more(open_viewer) -> None:
    viewer = open_viewer()
    arrays = AttributeArrays(viewer)
    arrays.close()
    viewer.layers.remove("image")
    assert arrays.enabled


def test_a_window_never_shown_has_none(make_napari_viewer) -> None:
    viewer = make_napari_viewer()
    arrays = AttributeArrays(viewer)
    viewer.add_points(np.zeros((1, 2)))
    viewer.layers.clear()
    assert arrays.enabled == []


def test_a_closed_window_has_none(open_viewer, qtbot) -> None:
    viewer = open_viewer()
    arrays = AttributeArrays(viewer)
    viewer.close()
    qtbot.waitUntil(lambda: not arrays.enabled)
    arrays.disable()


@pytest.mark.slow
@pytest.mark.window
def test_a_program_of_its_own_lives_on() -> None:
    """All layers are deleted, the next image is drawn: no segmentation fault."""
    ended = subprocess.run(
        [sys.executable, CLEARED], capture_output=True, text=True, timeout=200, check=False
    )
    assert (ended.stdout.split(), ended.returncode) == (["0", "1", "2"], 0), ended.stderr[-2000:]
