"""Channels and contrast as the network is given them; labels have no axis of channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image
from napari.layers._source import layer_source

from annotating import answer
from napari_sam.engine import EmbeddingCache
from napari_sam.engine.embeddings.cache import _Place
from napari_sam.plugin.contributions import read_session
from napari_sam.plugin.layers import LayerBridge
from napari_sam.plugin.layers.network_input import (
    NetworkInput,
    axis_names,
    input_of,
    recall_input,
    stack_of,
    tell_channel_axis,
)
from napari_sam.plugin.layers.own_layers import placement_of
from napari_sam.session import SessionFile, load, save


@dataclass(frozen=True)
class Case:
    name: str
    shape: tuple[int, ...]
    axis: int | None
    labels: tuple[int, ...]  # their shape
    layer: dict[str, Any] = field(default_factory=dict)


def by_label(*labels: str) -> dict[str, Any]:
    return {"axis_labels": labels}


CASES = [
    Case("CYX", (2, 20, 30), 0, (20, 30), by_label("c", "y", "x")),
    Case("TCYX", (4, 2, 20, 30), 1, (4, 20, 30), by_label("t", "Channel", "y", "x")),
    Case("ZCYX", (4, 3, 20, 30), 1, (4, 20, 30), by_label("z", "ch", "y", "x")),
    Case("YXC", (20, 30, 2), 2, (20, 30), by_label("y", "x", "c")),
    Case("TZCYX", (2, 3, 5, 20, 30), 2, (2, 3, 20, 30), by_label("t", "z", "channels", "y", "x")),
    Case("metadata", (4, 2, 20, 30), 1, (4, 20, 30), {"metadata": {"channel_axis": 1}}),
    Case("letters", (4, 2, 20, 30), 1, (4, 20, 30), {"metadata": {"axes": "TCYX"}}),
    Case("a stack", (4, 20, 30), None, (4, 20, 30)),
    Case("a movie", (4, 20, 30), None, (4, 20, 30), by_label("cycle", "y", "x")),
    Case("RGB", (4, 20, 30, 3), None, (4, 20, 30), {"rgb": True}),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_an_axis_of_channels_is_no_stack(case: Case) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros(case.shape, np.uint8), **case.layer)
    bridge = LayerBridge(viewer, image)
    assert input_of(image).channel_axis == case.axis
    assert bridge.session.stack.shape == bridge.labels.data.shape == case.labels
    assert bridge.session.channel_axis == case.axis


@pytest.mark.slow
@pytest.mark.parametrize("case", [c for c in CASES if c.axis is not None], ids=lambda c: c.name)
def test_one_mask_lies_where_was_clicked_in_every_channel(case: Case) -> None:
    viewer = ViewerModel()
    n = len(case.shape)
    scale = [1.0 + axis / 4 for axis in range(n)]
    translate = [10.0 * axis for axis in range(n)]
    image = viewer.add_image(
        np.zeros(case.shape, np.uint8), scale=scale, translate=translate, **case.layer
    )
    bridge = LayerBridge(viewer, image)
    mask = np.zeros((20, 30), bool)
    mask[3:8, 4:9] = True
    bridge.session.requested.connect(lambda request: bridge.session.land(answer(request, mask)))
    wanted = tuple(size - 1 for size in case.labels[:-2])
    for channel in range(case.shape[case.axis]):
        at_world = image.data_to_world((channel, *wanted, 5, 6))
        viewer.dims.set_point(range(n), at_world)
        assert bridge.frame == (*wanted, None, None)
        assert bridge.point_in_frame(at_world) == pytest.approx((5, 6))
        if not channel:
            bridge.points.add(bridge.points.world_to_data(at_world))
        assert bridge.labels.get_value(at_world, world=True) == 1
    assert bridge.session.prompts(1, bridge.frame).points == ((5.0, 6.0),)
    assert (bridge.labels.data == 1).sum() == 25


def test_the_axes_come_back_as_they_were() -> None:
    image = Image(np.zeros((4, 2, 20, 30), np.uint8), scale=(4, 3, 2, 1), name="cells")
    before = image.data.shape, tuple(image.scale), image.axis_labels
    tell_channel_axis(image, 1)
    assert (image.data.shape, tuple(image.scale)) == ((2, 4, 20, 30), (3, 4, 2, 1))
    tell_channel_axis(image, 0)
    assert (image.data.shape, tuple(image.scale)) == ((4, 2, 20, 30), (4, 3, 2, 1))
    names = axis_names(image)
    tell_channel_axis(image, 1)
    assert axis_names(image) == names
    tell_channel_axis(image, None)
    assert (image.data.shape, tuple(image.scale), image.axis_labels) == before


def test_the_file_says_where_channels_are(tmp_path: Path) -> None:
    path = tmp_path / "cells.ome.tif"
    pixels = np.zeros((3, 2, 20, 30), np.uint8)
    tifffile.imwrite(path, pixels, metadata={"axes": "TCYX"}, ome=True)
    viewer = ViewerModel()
    with layer_source(path=str(path)):
        image = viewer.add_image(pixels)
    assert LayerBridge(viewer, image).labels.data.shape == (3, 20, 30)


def test_lazy_pixels_and_pyramids_stay_so() -> None:
    for data in (da.zeros((4, 2, 64, 64), dtype=np.uint8), np.zeros((4, 2, 64, 64), np.uint8)):
        levels = [data, data[..., ::2, ::2]]
        image = Image(levels, multiscale=True, axis_labels=("t", "c", "y", "x"))
        assert stack_of(image).shape == (4, 64, 64)
        assert isinstance(image.data[0], type(data))


def hot(dtype: type = np.uint16) -> np.ndarray:
    """Two channels of a ramp, the second one reversed, with one hot pixel each."""
    ramp = np.tile(np.arange(100, dtype=dtype), (50, 1))
    both = np.stack([ramp, ramp[:, ::-1]])
    both[:, 0, 0] = 60_000
    return both


INPUTS = [
    (NetworkInput(0), ((0, 255, 128), (255, 0, 128))),
    (NetworkInput(0, (0,)), ((0, 0, 0), (255, 255, 255))),
    (NetworkInput(0, (1,)), ((255, 255, 255), (0, 0, 0))),
    (NetworkInput(0, mean=True), ((128, 128, 128), (128, 128, 128))),
    (NetworkInput(0, (0,), as_shown=True), ((0, 0, 0), (128, 128, 128))),
]


@pytest.mark.slow
@pytest.mark.parametrize(("given", "ends"), INPUTS)
def test_the_network_sees_what_was_chosen(given: NetworkInput, ends: Any) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(hot(), axis_labels=("c", "y", "x"), contrast_limits=(0, 198))
    bridge = LayerBridge(viewer, image)
    changed = []
    bridge.frame_changed.connect(changed.append)
    bridge.give(given)
    assert changed == [(None, None)], "it is embedded again"
    frame = bridge.session.stack.frame((None, None))
    shown = [tuple(map(int, frame[20, x])) for x in (0, -1)]
    np.testing.assert_allclose(shown, ends, atol=2)


WHOLE = _Place((None, None))


def test_what_is_seen_is_part_of_the_key_of_an_embedding() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(hot(), axis_labels=("c", "y", "x"), contrast_limits=(0, 198))
    bridge, cache, hashes = LayerBridge(viewer, image), EmbeddingCache(), set()

    class Model:
        hash = precision = "of a model"

    class Predictor:
        model = Model()

    for limits in ((0, 198), (0, 150)):
        image.contrast_limits = limits
        for given, _ in INPUTS:
            bridge.give(given)
            hashes.add(cache._key(Predictor(), bridge.session.stack, WHOLE)[0].frame)
    assert len(hashes) == len(INPUTS) + 1, "limits count where contrast is as shown"


def test_contrast_is_kept_with_the_image() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(hot()[0])
    LayerBridge(viewer, image).give(NetworkInput(as_shown=True))
    again = LayerBridge(viewer, image)
    assert again.session.stack.fixed_limits == (tuple(image.contrast_limits),)


def test_a_saved_session_brings_channels_and_contrast_back(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 999, (3, 2, 20, 30), np.uint16)
    tifffile.imwrite(tmp_path / "cells.tif", pixels, photometric="minisblack")
    viewer = ViewerModel()
    image = viewer.add_image(pixels, scale=(4, 3, 2, 1))
    tell_channel_axis(image, 1)
    image.contrast_limits = (7, 500)
    bridge = LayerBridge(viewer, image)
    bridge.give(NetworkInput(1, (1,), as_shown=True))
    bridge.session.placement = placement_of(image)
    folder = tmp_path / "cells.tif.napari-sam"
    save(bridge.session, folder, image_path=tmp_path / "cells.tif")

    again = Image(pixels, scale=(4, 3, 2, 1))
    file = SessionFile(folder)
    recall_input(again, file.channel_axis, file.manifest["preprocessing"])
    assert input_of(again) == NetworkInput(1, (1,), as_shown=True)
    assert tuple(again.contrast_limits) == (7, 500)
    stacks = [bridge.session.stack, stack_of(again)]

    (data, about, _), (labels, about_labels, _) = read_session(str(folder))
    assert labels.shape == (3, 20, 30)
    np.testing.assert_array_equal(about["scale"], (3, 4, 2, 1))
    np.testing.assert_array_equal(about_labels["scale"], (4, 2, 1))
    opened = Image(data, **about)
    recall_input(opened, file.channel_axis, file.manifest["preprocessing"])
    stacks.append(stack_of(opened))
    frames = [stack.frame((2, None, None)) for stack in stacks]
    for frame in frames[1:]:
        np.testing.assert_array_equal(frame, frames[0])
    assert load(folder, stacks[1]).notices == []
