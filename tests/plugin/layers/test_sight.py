"""Which image is over which, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam.plugin.layers import LayerBridge
from napari_sam.plugin.layers.sight import is_on_top


@dataclass(frozen=True)
class Case:
    name: str
    above: dict[str, Any] = field(default_factory=dict)  # of the image added over the annotated one
    shape: tuple[int, ...] = (20, 30)
    at: tuple[int, ...] = ()  # sliders
    covers: bool = True


CASES = [
    Case("another image"),
    Case("opaque", {"blending": "opaque", "opacity": 0.1}),
    Case("smaller", shape=(5, 5)),
    Case("a stack", shape=(4, 20, 30)),
    Case("hidden", {"visible": False}, covers=False),
    Case("a channel", {"blending": "additive"}, covers=False),
    Case("projection by minimum", {"blending": "minimum"}, covers=False),
    Case("faint", {"opacity": 0.4}, covers=False),
    Case("beside it", {"translate": (0, 40)}, covers=False),
    Case("in other slices", {"translate": (10, 0, 0)}, (4, 20, 30), (2,), covers=False),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_what_lies_over_the_annotated_image_is_named(case: Case) -> None:
    viewer = ViewerModel()
    below = viewer.add_image(np.zeros((4, 20, 30), np.uint8), name="below")
    bridge = LayerBridge(viewer, below)
    assert bridge.obstacle == ""
    above = viewer.add_image(np.zeros(case.shape, np.uint8), name="above", **case.above)
    for axis, at in enumerate(case.at):
        viewer.dims.set_point(axis, at)
    assert ("“above” covers “below”" in bridge.obstacle) == case.covers
    assert is_on_top(viewer, below) != case.covers
    viewer.layers.remove(above)
    assert bridge.obstacle == ""


HIDDEN: list[tuple[Callable[[LayerBridge], Any], str]] = [
    (lambda bridge: bridge.image, "“below” is hidden"),
    (lambda bridge: bridge.labels, "“below objects”"),
    (lambda bridge: bridge.points, "“below points” is hidden"),
]


@pytest.mark.parametrize(("layer_of", "said"), HIDDEN)
def test_what_is_hidden_is_named(layer_of: Callable[[LayerBridge], Any], said: str) -> None:
    viewer = ViewerModel()
    bridge = LayerBridge(viewer, viewer.add_image(np.zeros((20, 30), np.uint8), name="below"))
    layer_of(bridge).visible = False
    assert said in bridge.obstacle


def test_the_prompts_of_a_chosen_object_are_shown() -> None:
    viewer = ViewerModel()
    bridge = LayerBridge(viewer, viewer.add_image(np.zeros((20, 30), np.uint8)))
    bridge.points.visible = bridge.shapes.visible = False
    bridge.select(3)
    assert bridge.points.visible
    assert bridge.shapes.visible
    for object_id in (4, 5):
        bridge.use("point")
        bridge.select(object_id)
        assert bridge.tools.active == "point", "the tool stays selected"


def test_masks_below_their_image_are_named() -> None:
    viewer = ViewerModel()
    bridge = LayerBridge(viewer, viewer.add_image(np.zeros((20, 30), np.uint8), name="cells"))
    viewer.layers.move(viewer.layers.index(bridge.labels), 0)
    assert "below “cells”" in bridge.obstacle
    bridge.image.blending = "additive"
    assert bridge.obstacle == ""
