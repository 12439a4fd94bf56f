"""The current object: outlined, zoomed to, deleted by a key."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from annotating import answer
from napari_sam.plugin.layers import LayerBridge
from napari_sam.plugin.layers.image_view import camera_of, canvas_size
from napari_sam.session import Region

DISK = np.hypot(*np.ogrid[-20:20, -30:20]) < 8


def annotated(**placement: object) -> LayerBridge:
    """A stack of three frames, object 1 in the second one, which is not shown."""
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((3, 40, 50), np.uint8), **placement)
    bridge = LayerBridge(viewer, image)
    bridge.session.requested.connect(lambda request: bridge.session.land(answer(request, DISK)))
    viewer.dims.set_point(0, image.data_to_world((1, 0, 0))[0])
    bridge.points.add([1, 20, 30])
    viewer.dims.set_point(0, image.data_to_world((2, 0, 0))[0])
    return bridge


@pytest.mark.parametrize("placement", [{}, {"scale": (3, 0.5, 2), "translate": (7, 8, 9)}])
def test_zooming_to_an_object_shows_it_whole_and_large(placement: dict) -> None:
    bridge = annotated(**placement)
    bridge.zoom_to(1)
    assert bridge.frame == (1, None, None)
    camera, size = camera_of(bridge.viewer), canvas_size(bridge.viewer)
    rows, columns = np.nonzero(DISK)
    ends = [(1, rows.min(), columns.min()), (1, rows.max() + 1, columns.max() + 1)]
    low, high = (np.asarray(bridge.image.data_to_world(end))[1:] for end in ends)
    np.testing.assert_allclose(camera.center[1:], (low + high) / 2)
    share = (high - low) * camera.zoom / size
    assert share.max() == pytest.approx(1 / 3)


def test_the_outline_is_that_of_the_object_in_its_frame() -> None:
    bridge = annotated(scale=(3, 0.5, 2))
    bridge.viewer.dims.set_point(0, 3)
    bridge.outline.show(bridge.region_shown(1), bridge.frame)
    layer = bridge.outline.layer
    for (y, x), is_rim in [
        ((20, 30), 0),
        ((20, 36), 0),
        ((20, 37), 1),
        ((13, 30), 1),
        ((20, 38), 0),
    ]:
        point_world = bridge.image.data_to_world((1, y, x))
        assert bool(layer.get_value(point_world, world=True)) == is_rim
    bridge.viewer.dims.set_point(0, 6)
    bridge.outline.show(bridge.region_shown(1), bridge.frame)
    assert not layer.data.any()


def test_the_outline_is_drawn_once_for_all_that_is_set() -> None:
    bridge = annotated()
    layer, drawn, told = bridge.outline.layer, [], []
    extent = bridge.viewer.layers.extent.world
    layer.events.set_data.connect(drawn.append)
    layer.events.visible.connect(told.append)
    for at, corner in enumerate([(0, 0), (1, 12)], start=1):
        bridge.outline.show(Region.from_mask(DISK, *corner), (2, None, None))
        assert len(drawn) == at
        first = np.argwhere(DISK)[0] + corner
        assert layer.get_value((2, *first), world=True) == 1
        np.testing.assert_array_equal(bridge.viewer.layers.extent.world, extent)
    assert layer.visible
    assert not told


def test_the_outline_leaves_a_small_object_of_a_large_image_visible() -> None:
    viewer = ViewerModel()
    bridge = LayerBridge(viewer, viewer.add_image(np.zeros((9000, 4000), np.uint8)))
    cell = Region.from_mask(np.hypot(*np.ogrid[-20:20, -20:20]) < 15, 3000, 1000)
    bridge.outline.show(cell, bridge.frame)
    assert 0 < np.count_nonzero(bridge.outline.layer.data) < 0.5 * cell.area


def test_who_hides_or_deletes_the_outline_is_not_shown_it_again() -> None:
    bridge = annotated()
    bridge.outline.layer.visible = False
    bridge.outline.show(Region.from_mask(DISK), (1, None, None))
    assert not bridge.outline.layer.visible
    bridge.viewer.layers.remove(bridge.outline.layer)
    bridge.outline.show(Region.from_mask(DISK[::-1]), (1, None, None))
    assert bridge.outline.layer not in bridge.viewer.layers


@pytest.mark.parametrize("key", ["Delete", "Backspace"])
def test_a_key_deletes_selected_prompts_else_it_is_about_objects(key: str) -> None:
    bridge, asked = annotated(), []
    bridge.delete_pressed.connect(lambda: asked.append(1))
    bridge.viewer.dims.set_point(0, 1)
    for layer in (bridge.points, bridge.shapes, bridge.labels):
        action = next(act for bound, act in layer.keymap.items() if str(bound) == key)
        action(layer)
    assert len(asked) == 3
    bridge.points.selected_data = {0}
    next(act for bound, act in bridge.points.keymap.items() if str(bound) == key)(bridge.points)
    assert len(asked) == 3
    assert not bridge.labels.data.any()
