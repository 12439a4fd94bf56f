"""Labels of huge images at several resolutions: each is as the finest, whatever is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam.engine import FrameStack
from napari_sam.plugin.layers.bridge import LayerBridge
from napari_sam.plugin.layers.labels_as_given import NO_BRUSH
from napari_sam.plugin.layers.levels import COARSEST, WIDEST, LabelLevels, finest
from napari_sam.plugin.sessions.reopening import _hold, read
from napari_sam.session import Propagated, Region, Session, empty_labels, objects, save

SHAPE = (30, WIDEST + 101)  # thin, so that it costs little
HERE = (None, None)
DISC = np.hypot(*np.ogrid[-4:5, -4:5]) <= 4
FAR = WIDEST - 300


def check_levels(levels: list[Any], displayed: tuple[int, int]) -> None:
    """Each level holds every second pixel of the one before, and the last one is small."""
    labels = np.asarray(levels[0][...])
    for n, level in enumerate(levels):
        step = tuple(slice(None, None, 2**n if a in displayed else 1) for a in range(labels.ndim))
        np.testing.assert_array_equal(np.asarray(level[...]), labels[step])
    assert max(levels[-1].shape[axis] for axis in displayed) <= COARSEST


@st.composite
def writing(draw, shape: tuple[int, ...], displayed: tuple[int, int]) -> tuple[Any, ...]:
    """Pixels by arrays of positions, or a window."""
    if draw(st.booleans()):
        n = draw(st.integers(0, 4))
        return tuple(
            np.array(draw(st.lists(st.integers(0, side - 1), min_size=n, max_size=n)), np.intp)
            for side in shape
        )
    starts = [draw(st.integers(0, side - 1)) for side in shape]
    sides = [draw(st.integers(1, 70)) for _ in shape]
    return tuple(
        slice(start, start + side) if axis in displayed else start
        for axis, (start, side) in enumerate(zip(starts, sides, strict=True))
    )


@settings(max_examples=min(30, settings().max_examples))
@pytest.mark.parametrize(
    ("shape", "displayed"),
    [((5, 9_001), (0, 1)), ((2, 5, 4_500), (1, 2)), ((7, 3, 4_097), (0, 2))],
    ids=["image", "stack", "side view"],
)
@given(data=st.data(), most_pixels=st.sampled_from([0, 2**30]))
def test_coarser_levels_follow_what_is_written(shape, displayed, data, most_pixels) -> None:
    levels = LabelLevels.of(empty_labels(shape, np.uint16, most_pixels), displayed)
    for value in range(1, data.draw(st.integers(1, 5)) + 1):
        indices = data.draw(writing(shape, displayed))
        window = levels.arrays[0][...][indices]
        levels.write(indices, np.full(window.shape, value, np.uint16))
    check_levels(levels.arrays, displayed)
    check_levels(LabelLevels.of(levels.arrays[0], displayed).arrays, displayed)


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="slide")
    return viewer


def land(bridge: LayerBridge, top: int, left: int) -> int:
    """A new object of a disc."""
    bridge.next_object()
    number, region = bridge.session.active, Region(top, left, DISC)
    found = Propagated(number, HERE, region, 0.9, 0.9, 0.9, "m", (1, None))
    bridge.session.land_propagated(found, bridge.session.new_run())
    return number


def test_objects_of_a_huge_image_are_in_all_levels(viewer: ViewerModel) -> None:
    bridge = LayerBridge(viewer, viewer.layers["slide"])
    assert bridge.about_labels == NO_BRUSH
    assert bridge.labels.multiscale
    assert not bridge.labels.editable
    assert finest(bridge.labels) is bridge.session.labels
    one, other = land(bridge, 3, 40), land(bridge, 9, FAR)
    for y, x, number in ((7, 44, one), (13, FAR + 4, other), (20, 44, 0)):
        assert bridge.object_at((y, x)) == number
    check_levels(bridge.labels.data, (0, 1))

    objects.merge(bridge.session, one, [other], HERE)
    assert bridge.object_at((13, FAR + 4)) == one
    check_levels(bridge.labels.data, (0, 1))
    objects.delete(bridge.session, [one], HERE)
    assert not bridge.session.labels.any()
    check_levels(bridge.labels.data, (0, 1))
    bridge.undo()
    bridge.undo()
    assert np.unique(bridge.session.labels).tolist() == [0, one, other]
    check_levels(bridge.labels.data, (0, 1))


def test_levels_of_a_saved_session_are_made_where_it_is_read(viewer: ViewerModel, tmp_path) -> None:
    image = viewer.add_image(np.zeros(SHAPE, np.uint8))
    stack = FrameStack.from_array(image.data)
    labels = empty_labels(SHAPE)
    labels[3:9, FAR : FAR + 7] = 5
    save(Session(stack, labels), tmp_path / "saved.napari-sam")
    found = read(tmp_path / "saved.napari-sam", stack, lambda done, total: None)
    assert found.levels is not None
    check_levels(list(found.levels.arrays), stack.displayed)
    assert np.count_nonzero(found.levels.arrays[1]) == 3 * 4
    layer = _hold(found, image, viewer)
    for shown, made in zip(layer.data, found.levels.arrays, strict=True):
        assert shown is made, "not made again by the window's thread"
    assert LayerBridge(viewer, image, layer).labels is layer


def test_huge_labels_get_room_for_higher_numbers_in_all_levels(viewer: ViewerModel) -> None:
    bridge = LayerBridge(viewer, viewer.layers["slide"])
    one = land(bridge, 3, 40)
    bridge.session.note_ids(70_000)
    other = land(bridge, 9, FAR)
    assert other == 70_001
    assert {level.dtype for level in bridge.labels.data} == {np.dtype(np.uint32)}
    assert (bridge.object_at((7, 44)), bridge.object_at((13, FAR + 4))) == (one, other)
    check_levels(bridge.labels.data, (0, 1))


@pytest.mark.parametrize("multiscale", [False, True])
def test_labels_given_for_a_huge_image_are_shown_in_levels(
    viewer: ViewerModel, multiscale: bool
) -> None:
    pixels = np.zeros(SHAPE, np.uint16)
    pixels[3:9, 50:60] = 4
    given_levels = [pixels, pixels[::2, ::2]] if multiscale else pixels
    given = viewer.add_labels(given_levels, multiscale=multiscale, name="mine")
    bridge = LayerBridge(viewer, viewer.layers["slide"], given)
    assert bridge.about_labels.endswith(NO_BRUSH)
    assert bridge.labels is not given
    assert not given.visible
    assert bridge.object_at((5, 55)) == 4
    number = land(bridge, 9, FAR)
    check_levels(bridge.labels.data, (0, 1))
    assert pixels[13, FAR + 4] == (0 if multiscale else number), "others' levels are copied"
    if not multiscale:
        assert "“mine levels”" in bridge.about_labels


def test_a_session_goes_on_in_its_levels(viewer: ViewerModel) -> None:
    image = viewer.layers["slide"]
    bridge = LayerBridge(viewer, image)
    number, labels = land(bridge, 3, 40), bridge.labels
    bridge.close()
    again = LayerBridge(viewer, image)
    assert again.labels is labels
    assert again.object_at((7, 44)) == number
    land(again, 9, FAR)
    check_levels(again.labels.data, (0, 1))


def test_work_goes_on_in_other_labels_that_somebody_puts_into_the_layer(
    viewer: ViewerModel,
) -> None:
    bridge = LayerBridge(viewer, viewer.layers["slide"])
    land(bridge, 3, 40)
    other = np.zeros(SHAPE, np.uint16)
    other[3:9, FAR : FAR + 8] = 5
    bridge.labels.data = [other, other[::2, ::2]]
    assert bridge.object_at((5, FAR + 2)) == 5
    assert bridge.object_at((7, 44)) == 0
    number = land(bridge, 9, 70)
    assert number == 6
    assert bridge.object_at((13, 74)) == number
    assert finest(bridge.labels) is bridge.session.labels
    check_levels(bridge.labels.data, (0, 1))


def test_small_images_have_one_level() -> None:
    viewer = ViewerModel()
    bridge = LayerBridge(viewer, viewer.add_image(np.zeros((20, WIDEST), np.uint8)))
    assert isinstance(bridge.labels, Labels)
    assert not bridge.labels.multiscale
    assert not bridge.about_labels
