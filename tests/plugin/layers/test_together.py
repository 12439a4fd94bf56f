"""Image or labels are moved while they are annotated: masks land where they are seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from annotating import answer
from napari_sam.plugin.layers import LayerBridge
from napari_sam.plugin.layers.deferring import Defer, at_once
from napari_sam.plugin.layers.own_layers import MOVES, placement
from napari_sam.session import Region

SHAPE, AT, LATER = (5, 40, 60), (3, 12, 21), (3, 30, 40)
START: dict[str, Any] = {"scale": (2.0, 0.5, 0.5), "translate": (1.0, 2.0, 3.0)}

CASES: dict[str, dict[str, Any]] = {
    "moved": {"translate": (-7.0, 30.0, 11.5)},
    "moved along the stack": {"translate": (4.0, 2.0, 3.0)},
    "scaled": {"scale": (1.0, 0.25, 3.0)},
    "mirrored": {"scale": (2.0, -0.5, 0.5)},
    "rotated": {"rotate": np.eye(3)[:, [0, 2, 1]] * [1, 1, -1]},
    "sheared": {"shear": [0.0, 0.0, 0.4]},
    "dragged in the transform mode": {
        "affine": [[1, 0, 0, 0], [0, 0.8, 0.6, 9], [0, -0.6, 0.8, -4], [0, 0, 0, 1]]
    },
    "all at once": {"scale": (1.0, 2.0, 3.0), "translate": (9.0, 8.0, 7.0), "shear": [0, 0, 0.1]},
}
MEASURED: dict[str, dict[str, Any]] = {
    "measured": {"units": ("um", "um", "um")},
    "timed": {"units": ("s", "um", "um")},
    "measured and scaled": {"units": ("nm", "nm", "nm"), "scale": (3.0, 2.0, 2.0)},
}


def bridged(defer: Defer = at_once) -> LayerBridge:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros(SHAPE, np.uint8), name="cells", **START)
    return LayerBridge(viewer, image, defer=defer)


def click(bridge: LayerBridge, at: tuple[int, ...]) -> None:
    """As napari's own tool does, at the place in the world where a pixel of the image is seen."""
    at_world = bridge.image.data_to_world(at)
    bridge.viewer.dims.set_point(range(3), at_world)
    bridge.points.add(bridge.points.world_to_data(at_world))


def land(bridge: LayerBridge) -> None:
    for request in bridge.session.pending():
        y, x = request.prompts.points[-1]
        mask = np.zeros(SHAPE[1:], bool)
        mask[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = True
        bridge.session.land(answer(request, mask))


def move(layer: Any, case: dict[str, Any]) -> None:
    for name, value in case.items():
        setattr(layer, name, value)


def assert_together(bridge: LayerBridge) -> None:
    place = placement(bridge.image)
    for layer in (bridge.labels, bridge.points, bridge.shapes):
        for at in (AT, LATER):
            np.testing.assert_allclose(layer.data_to_world(at), bridge.image.data_to_world(at))
    for name in MOVES:
        np.testing.assert_array_equal(placement(bridge.labels)[name], place[name])
    for layer in (bridge.labels, bridge.image):
        assert layer._slice.image.view.shape == SHAPE[1:]


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before a click", "while it is pending", "after it"])
@pytest.mark.parametrize("name", [*CASES, *MEASURED])
def test_what_is_on_an_image_goes_with_it(name: str, when: str) -> None:
    bridge = bridged()
    case = {**CASES, **MEASURED}[name]
    if when == "before a click":
        move(bridge.image, case)
    click(bridge, AT)
    if when == "while it is pending":
        move(bridge.image, case)
    land(bridge)
    if when == "after it":
        move(bridge.image, case)
    assert_together(bridge)
    assert bridge.labels.data[AT] == 1
    bridge.next_object()
    click(bridge, LATER)
    land(bridge)
    assert bridge.labels.data[LATER] == 2
    assert np.abs(np.argwhere(bridge.labels.data == 2) - LATER).max() == 1
    assert_together(bridge)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before a click", "while it is pending"])
@pytest.mark.parametrize("which", ["labels", "points", "shapes"])
@pytest.mark.parametrize("name", CASES)
def test_what_is_on_an_image_is_put_back(name: str, which: str, when: str) -> None:
    bridge = bridged()
    said: list[str] = []
    bridge.notice.connect(said.append)
    if when == "while it is pending":
        click(bridge, AT)
    move(getattr(bridge, which), CASES[name])
    assert_together(bridge)
    assert said
    assert said[-1].endswith("Move “cells”, and they go with it.")
    if when == "before a click":
        click(bridge, AT)
    land(bridge)
    assert bridge.labels.data[AT] == 1
    assert bridge.session.prompts(1, (3, None, None)).points == (pytest.approx(AT[1:]),)


@pytest.mark.parametrize("change", [{"units": ("um",) * 3}, {"translate": (99.0, 2.0, 3.0)}])
def test_a_mask_lands_in_labels_that_are_about_to_be_put_back(change: dict[str, Any]) -> None:
    waiting: list[Callable[[], None]] = []
    bridge = bridged(waiting.append)
    click(bridge, AT)
    while waiting:
        waiting.pop(0)()
    move(bridge.labels, change)
    land(bridge)
    assert bridge.labels.data[AT] == 1
    while waiting:
        waiting.pop(0)()
    assert_together(bridge)
    np.testing.assert_array_equal(bridge.labels._slice.image.raw, bridge.labels.data[AT[0]])


def test_sliders_that_stay_show_another_frame_of_an_image_that_is_moved() -> None:
    bridge = bridged()
    click(bridge, AT)
    bridge.image.translate = (3.0, 2.0, 3.0)  # by one slice
    assert bridge.frame == (2, None, None)


@pytest.mark.slow
def test_preview_and_outline_go_along() -> None:
    bridge = bridged()
    click(bridge, AT)
    land(bridge)
    region = Region.from_mask(np.pad(np.ones((3, 3), bool), ((10, 27), (20, 37))))
    for case in CASES.values():
        move(bridge.image, case)
        for shown in (bridge.show_preview, lambda r: bridge.outline.show(r, bridge.frame)):
            shown(region)
        for layer in (bridge.preview, bridge.outline.layer):
            first = (bridge.frame[0], 10, 20)
            np.testing.assert_allclose(
                layer.data_to_world((0, 0, 0)), bridge.image.data_to_world(first)
            )


def test_a_bridge_that_is_closed_moves_nothing() -> None:
    bridge = bridged()
    bridge.close()
    bridge.labels.translate = (5, 5, 5)
    np.testing.assert_array_equal(bridge.labels.translate, (5, 5, 5))
    bridge.image.translate = (7, 7, 7)
    np.testing.assert_array_equal(bridge.labels.translate, (5, 5, 5))
