"""Images far larger than the network's input in a real window: what is on screen is looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from large_frames import nuclei
from napari_sam.plugin.layers.image_view import camera_of
from napari_sam.plugin.layers.levels import WIDEST, finest
from napari_sam.session import SessionFile, session_path

FRAME = (None, None)


def zoom_to(user, y: float, x: float, zoom: float) -> None:
    """Bring a place to the middle of the canvas, at so many screen pixels a pixel."""
    camera = camera_of(user.viewer)
    camera.zoom = zoom
    camera.center = (0, y, x)
    user.ready()


@pytest.mark.slow
def test_a_click_selects_the_nucleus_under_it(open_window) -> None:
    large = nuclei(6_000)
    user = open_window(large.image)
    session = user.widget.bridge.session

    # All of the image is on screen
    user.click(large.centre(9, 8, 7))
    user.ready()
    assert large.iou(session.labels, 1, 9, 8, 7) > 0.9

    # Zoomed in: answered by what is on screen
    zoom_to(user, *large.centre(20, 3, 2), zoom=1.0)
    seen = session.seen
    assert seen is not None
    on_screen = user.widget.bridge.crop_on_screen
    assert on_screen.long_side == 1024
    user.press("n")
    user.click(large.centre(20, 3, 2))
    user.ready()
    assert large.iou(session.labels, 2, 20, 3, 2) > 0.9
    assert session.current(2, FRAME).crop == on_screen

    # A correction stays there, undo and redo give the same pixels
    before = session.labels.copy()
    y, x = large.centre(20, 3, 2)
    user.click((y + 4, x + 4))
    user.ready()
    assert session.current(2, FRAME).crop == on_screen
    after = session.labels.copy()
    user.widget.active.undo()
    np.testing.assert_array_equal(session.labels, before)
    user.widget.active.redo()
    np.testing.assert_array_equal(session.labels, after)


@pytest.mark.slow
def test_what_is_looked_at_follows_the_screen_and_the_cells(open_window, most_work) -> None:
    large = nuclei(3000)
    user = open_window(large.image, scale=(0.5, 0.5), translate=(30, -20))
    bridge = user.widget.bridge

    def world(y: float, x: float) -> tuple[float, float]:
        return 30 + y / 2, -20 + x / 2

    # What is on screen, whatever the transform
    zoom_to(user, *world(1000, 1700), zoom=2.0)
    y0, x0, y1, x1 = bridge.session.seen
    assert ((y0 + y1) / 2, (x0 + x1) / 2) == pytest.approx((1000, 1700), abs=1)
    height, width = np.array(user.canvas.size) / 2.0 / 0.5
    assert (y1 - y0, x1 - x0) == pytest.approx((height, width), rel=0.02)
    assert bridge.crop_on_screen.long_side == 1024

    # The size of the cells segmented lately; what the user says counts more
    for n in range(3):
        user.press("n")
        user.click(world(*large.centre(n + 10, 2, 3)))
        user.ready()
    assert bridge.session.usual_diameter == pytest.approx(30, abs=3)
    assert bridge.crop_on_screen.long_side == 512
    user.widget.source.cell_size.setValue(60)
    user.ready()
    assert bridge.crop_on_screen.long_side == 1024

    def pan() -> None:
        for step in range(20):
            camera_of(user.viewer).center = (0, *world(1000 + 40 * step, 1700 - 30 * step))
            user.qtbot.wait(10)

    assert most_work(pan) < 0.1
    user.ready()


@pytest.mark.slow
def test_a_huge_image_is_annotated_saved_and_opened_again(open_window, tmp_path: Path) -> None:
    """Thin, so that the test costs little: what counts is the long side."""
    large = nuclei(1_000)
    slide = np.tile(large.image, (1, WIDEST // 1_000 + 1))
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, slide)
    first = open_window(path)
    bridge = first.widget.bridge
    assert bridge.labels.multiscale
    nuclei_there = {1: (3, 1, 2), 2: (5, 0, 31)}  # which, and in which block
    places = {object_id: large.centre(*at) for object_id, at in nuclei_there.items()}
    for object_id, place in places.items():
        zoom_to(first, *place, zoom=1.0)
        first.press("n")
        first.click(place)
        first.ready()
        assert large.iou(bridge.session.labels, object_id, *nuclei_there[object_id]) > 0.9
        assert bridge.object_at(place) == object_id
        assert bridge.labels.get_value(place, world=True)[1] == object_id, "it is on screen"
    first.viewer.close()
    (files,) = SessionFile(session_path(path)).files.values()
    assert {column for _, column in files.labels} == {x // 2048 for _, x in places.values()}

    again = open_window(path)
    bridge = again.widget.bridge
    assert bridge.labels.multiscale
    assert finest(bridge.labels) is bridge.session.labels
    assert [bridge.object_at(place) for place in places.values()] == [1, 2]
    zoom_to(again, 500, WIDEST / 2, zoom=0.02)
    assert bridge.labels.data_level > 0
    assert set(np.unique(bridge.labels._slice.image.raw)) == {0, 1, 2}, "seen from far, too"
    more = large.centre(7, 1, 12)
    zoom_to(again, *more, zoom=1.0)
    again.press("n")
    again.click(more)
    again.ready()
    assert bridge.object_at(more) == 3
