"""Labels layers as users give them: each is taken, copied with a word, or refused with a remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_sam.engine import SamError
from napari_sam.plugin.layers.bridge import LayerBridge
from napari_sam.plugin.layers.in_memory import HELD
from napari_sam.session import Propagated, Region

SHAPE = (16, 20)
HERE = (None, None)
DISC = Region(8, 9, np.ones((5, 6), bool))


def with_a_three(dtype: str = "u2") -> np.ndarray:
    labels = np.zeros(SHAPE, dtype)
    labels[1:4, 1:4] = 3
    return labels


def full() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels.flat[:255] = np.arange(1, 256)
    labels[8:13, 9:15] = 0
    labels[0, 0] = 255
    return labels


def locked() -> np.ndarray:
    labels = with_a_three()
    labels.flags.writeable = False
    return labels


def locked_zarr(folder: Any) -> zarr.Array:
    zarr.create_array(folder / "labels.zarr", data=with_a_three(), chunks=(8, 8))
    return zarr.open_array(folder / "labels.zarr", mode="r")


def mapped(mode: str) -> Callable[[Any], np.ndarray]:
    def open_(folder: Any) -> np.ndarray:
        np.save(folder / "labels.npy", with_a_three())
        return np.load(folder / "labels.npy", mmap_mode=mode)

    return open_


TAKEN: dict[str, tuple[Callable[[Any], Any], str]] = {  # name: labels, what is said
    "uint16": (lambda _: with_a_three(), ""),
    "uint8 with 255 ids": (lambda _: full(), ""),
    "int64": (lambda _: with_a_three("i8"), ""),
    "booleans": (lambda _: with_a_three() > 0, ""),
    "big-endian uint16": (lambda _: with_a_three(">u2"), "not in this computer's byte order"),
    "big-endian int32": (lambda _: with_a_three(">i4"), "not in this computer's byte order"),
    "Dask": (lambda _: da.from_array(with_a_three(), chunks=8), "dask.Array"),
    "read-only": (lambda _: locked(), "are read-only. They were copied into memory."),
    "memory-mapped, read-only": (mapped("r"), "are read-only"),
    "memory-mapped": (mapped("r+"), ""),
    "Zarr, read-only": (locked_zarr, "are read-only"),
    "multiscale": (lambda _: [with_a_three(), with_a_three()[::2, ::2]], "are multiscale"),
}


def viewer_on(labels: Any, image: dict[str, Any], **options: Any) -> tuple[Image, Labels]:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros(SHAPE, np.uint8), **image)
    options.setdefault("multiscale", isinstance(labels, list))
    return viewer, layer, viewer.add_labels(labels, name="mine", **options)


def land(bridge: LayerBridge) -> None:
    """The current object lands where it was clicked."""
    bridge.session.land_propagated(
        Propagated(bridge.session.active, HERE, DISC, 0.9, 0.9, 0.9, "m", (1, None, None)),
        bridge.session.new_run(),
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", TAKEN)
def test_what_lands_is_in_the_labels_whatever_they_were(name: str, tmp_path) -> None:
    make, said = TAKEN[name]
    given = make(tmp_path)
    viewer, image, layer = viewer_on(given, {})
    before = np.array(layer.data[0] if layer.multiscale else layer.data)
    bridge = LayerBridge(viewer, image, layer)
    assert (said in bridge.about_labels) if said else not bridge.about_labels
    assert bridge.session.active == int(before.max()) + 1
    assert bridge.labels.selected_label == bridge.session.active

    bridge.next_object()
    land(bridge)

    expected = before.astype(int)
    expected[8:13, 9:15] = bridge.session.active
    np.testing.assert_array_equal(np.asarray(bridge.labels.data), expected)
    np.testing.assert_array_equal(bridge.labels._slice.image.raw, expected, "it is shown")
    assert bridge.labels.data is bridge.session.labels
    if name == "memory-mapped":
        np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), expected)
    if name == "multiscale":
        assert (bridge.labels.name, layer.visible) == ("mine copy", False)
    else:
        assert bridge.labels is layer
    bridge.undo()
    np.testing.assert_array_equal(np.asarray(bridge.labels.data), before)


@pytest.mark.parametrize(
    ("labels", "options", "said"),
    [
        (np.full(SHAPE, 2**32 - 1, np.uint32), {}, "hold the id 4294967295.*Number them again"),
        (with_a_three()[::2, ::2], {"scale": (2, 2)}, "at its full resolution"),
        (with_a_three()[None], {}, r"the shape \(1, 16, 20\), the image \(16, 20\)"),
        (with_a_three(), {"translate": (0, 5)}, "“mine” is not aligned with “picture”"),
        (with_a_three(), {"scale": (2, 2)}, r"\[2.0, 2.0, 0.0, 0.0\] against \[1.0, 1.0,"),
    ],
    ids=["full", "coarse level", "one axis more", "elsewhere", "larger"],
)
def test_what_cannot_be_taken_is_refused(labels: Any, options: dict[str, Any], said: str) -> None:
    viewer, image, layer = viewer_on(labels, {"name": "picture"}, **options)
    layers = list(viewer.layers)
    with pytest.raises(SamError, match=said):
        LayerBridge(viewer, image, layer)
    assert list(viewer.layers) == layers
    assert HELD not in layer.metadata


MICRONS = {"scale": (0.5, 0.25), "translate": (3, -4), "units": ("um", "um")}


@pytest.mark.parametrize(
    ("options", "is_moved"),
    [
        ({}, True),
        (MICRONS, False),
        ({"scale": (500, 250), "translate": (3000, -4000), "units": ("nm", "nm")}, False),
        ({**MICRONS, "scale": (0.5001, 0.25)}, False),
    ],
    ids=["put nowhere", "as the image", "in other units", "rounded"],
)
def test_labels_lie_on_the_image(options: dict[str, Any], is_moved: bool) -> None:
    viewer, image, layer = viewer_on(with_a_three(), MICRONS, **options)
    bridge = LayerBridge(viewer, image, layer)
    assert bridge.about_labels.startswith("They were not aligned with the image") == is_moved
    if is_moved:
        assert layer.data_to_world((2, 3)) == image.data_to_world((2, 3))
        assert layer.units == image.units


@pytest.mark.parametrize("name", [name for name in TAKEN if name != "multiscale"])
def test_other_labels_put_into_the_layer_are_taken_too(name: str, tmp_path) -> None:
    make, said = TAKEN[name]
    viewer, image, layer = viewer_on(np.zeros(SHAPE, np.uint16), {})
    bridge = LayerBridge(viewer, image, layer)
    notices: list[str] = []
    bridge.notice.connect(notices.append)
    layer.data = make(tmp_path)
    before = np.array(layer.data)
    assert [said in notice for notice in notices] == [True] * bool(said)
    bridge.next_object()
    land(bridge)
    assert (np.asarray(layer.data)[8:13, 9:15] == int(before.max()) + 1).all()
    assert layer.data is bridge.session.labels


def test_labels_that_are_full_now_are_let_go_of() -> None:
    viewer, image, layer = viewer_on(np.zeros(SHAPE, np.uint32), {})
    bridge = LayerBridge(viewer, image, layer)
    notices: list[str] = []
    bridge.notice.connect(notices.append)
    layer.data = np.full(SHAPE, 2**32 - 1, np.uint32)
    assert "New labels are made" in notices[0]
    again = LayerBridge(viewer, image)
    assert again.labels is not layer


def test_data_put_into_a_layer_while_the_panel_was_closed_is_what_is_annotated() -> None:
    viewer, image, layer = viewer_on(np.zeros(SHAPE, np.uint16), {})
    LayerBridge(viewer, image, layer).close()
    layer.data = with_a_three("u1")
    bridge = LayerBridge(viewer, image)
    assert bridge.labels is layer
    bridge.next_object()
    land(bridge)
    assert bridge.session.active == 4
    assert np.unique(layer.data).tolist() == [0, 3, 4]


def test_a_number_painted_that_none_can_follow_is_said() -> None:
    viewer, image, layer = viewer_on(np.zeros(SHAPE, np.uint32), {})
    bridge = LayerBridge(viewer, image, layer)
    notices: list[str] = []
    bridge.notice.connect(notices.append)
    active = bridge.session.active
    bridge.session.note_ids(2**32 - 1)
    bridge.next_object()
    assert notices[-1].startswith("4294967296 is not an object id.")
    assert bridge.session.active == active
