"""What the session writes into napari's labels, whatever array holds them, and who painted what."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam.plugin.layers.bridge import LayerBridge
from napari_sam.session import Propagated, Region, empty_labels

SHAPE = (5, 40, 50)
ONE_ARRAY, COMPRESSED = SHAPE[0] * SHAPE[1] * SHAPE[2], 0  # most pixels of labels in one array
DISC = np.hypot(*np.ogrid[-4:5, -4:5]) <= 4


class Later:
    """What was deferred, each function once, done when the test says so."""

    def __init__(self) -> None:
        self.waiting: dict[Callable[[], None], None] = {}

    def __call__(self, function: Callable[[], None]) -> None:
        self.waiting[function] = None

    def do(self) -> None:
        """As the event loop would."""
        while self.waiting:
            waiting, self.waiting = self.waiting, {}
            for function in waiting:
                function()


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture(params=[ONE_ARRAY, COMPRESSED], ids=["one array", "compressed"])
def bridge(request, later: Later) -> LayerBridge:
    """A stack whose third frame is shown."""
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros(SHAPE, np.uint8))
    viewer.dims.set_point(0, 2)
    labels = Labels(empty_labels(SHAPE, most_pixels=request.param))
    return LayerBridge(viewer, image, labels, later)


def propagate_all(bridge: LayerBridge) -> None:
    """Two objects propagated to all frames."""
    run = bridge.session.new_run()
    for t in range(SHAPE[0]):
        for object_id, left in ((1, 4), (2, 30)):
            region = Region(10 + t, left, DISC)
            there, source = (t, None, None), (0, None, None)
            bridge.session.land_propagated(
                Propagated(object_id, there, region, 0.9, 0.9, 0.9, "m", source), run
            )


def test_a_run_is_undone_and_redone_with_one_redraw(bridge: LayerBridge, later: Later) -> None:
    """Afterwards picture and thumbnail are those of a new layer on the same labels."""
    propagate_all(bridge)
    later.do()
    propagated, drawn = np.array(bridge.labels.data), []
    assert set(np.unique(propagated)) == {0, 1, 2}
    bridge.labels.events.set_data.connect(lambda: drawn.append(True))
    for again, held in ((bridge.undo, np.zeros_like(propagated)), (bridge.redo, propagated)):
        drawn.clear()
        again()
        np.testing.assert_array_equal(bridge.labels.data, held)
        later.do()
        assert len(drawn) == 1
        viewer = ViewerModel()
        fresh = viewer.add_labels(held)
        viewer.dims.set_point(0, 2)
        fresh.refresh()
        np.testing.assert_array_equal(bridge.labels._slice.image.raw, held[2])
        np.testing.assert_array_equal(bridge.labels._slice.image.view, fresh._slice.image.view)
        np.testing.assert_array_equal(bridge.labels.thumbnail, fresh.thumbnail)


def test_what_is_propagated_to_other_frames_draws_nothing(
    bridge: LayerBridge, later: Later
) -> None:
    drawn = []
    for event in (bridge.labels.events.set_data, bridge.labels.events.labels_update):
        event.connect(lambda: drawn.append(True))
    propagate_all(bridge)
    later.do()
    assert len(drawn) == 2, "two objects land in the frame on screen"
    bridge.labels.undo()
    bridge.labels.undo()
    held = np.array(bridge.labels.data)
    assert not held[2].any(), "napari's own undo knows of what was seen"
    assert held[[0, 1, 3, 4]].any(axis=(1, 2)).all()


def test_whatever_is_done_the_labels_are_the_same_in_both_arrays() -> None:
    outcomes = []
    for most_pixels in (ONE_ARRAY, COMPRESSED):
        viewer, later = ViewerModel(), Later()
        image = viewer.add_image(np.zeros(SHAPE, np.uint8))
        viewer.dims.set_point(0, 2)
        labels = Labels(empty_labels(SHAPE, most_pixels=most_pixels))
        bridge = LayerBridge(viewer, image, labels, later)
        states = []
        propagate_all(bridge)
        states.append(np.array(labels.data))
        labels.paint((2, 12, 8), 7)
        states.append(np.array(labels.data))
        labels.fill((2, 10, 30), 9)
        bridge.undo()
        states.append(np.array(labels.data))
        bridge.undo()
        bridge.undo()
        states.append(np.array(labels.data))
        bridge.redo()
        bridge.redo()
        later.do()
        states.append(np.array(labels.data))
        assert bridge.session.annotation(7, (2, None, None)).footprint.painted.area > 0
        outcomes.append(states)
    for in_one, compressed in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(in_one, compressed)
    assert [state.any() for state in outcomes[0]] == [True, True, True, False, True]


@pytest.mark.parametrize("object_id", [300, 70_000])
def test_labels_are_widened_and_nothing_is_forgotten(bridge: LayerBridge, object_id: int) -> None:
    bridge.labels.data = np.zeros(SHAPE, np.uint8)
    propagate_all(bridge)
    before = np.array(bridge.labels.data)
    bridge.session.widen(255)
    assert bridge.labels.dtype == np.uint8, "it fits"
    bridge.session.widen(object_id)
    assert bridge.labels.dtype == (np.uint16 if object_id == 300 else np.uint32)
    np.testing.assert_array_equal(bridge.labels.data, before)
    run = bridge.session.new_run()
    region, source = Region(30, 30, DISC), (0, None, None)
    there = (4, None, None)
    bridge.session.land_propagated(
        Propagated(object_id, there, region, 0.9, 0.9, 0.9, "m", source), run
    )
    assert bridge.labels.data[4, 34, 34] == object_id
    assert bridge.undo() is None
    np.testing.assert_array_equal(bridge.labels.data, before)


def test_ids_of_others_are_learnt_when_they_are_drawn_and_not_looked_for_all_the_time(
    bridge: LayerBridge, later: Later
) -> None:
    frame = np.s_[2, 20:25, 20:25]
    bridge.next_object()
    bridge.labels.data[frame] = 40
    bridge.next_object()
    assert bridge.session.active == 1, "the frame is not read again while nothing was drawn"
    bridge.labels.refresh()
    bridge.next_object()
    assert bridge.session.active == 41
    propagate_all(bridge)
    bridge.undo()
    later.do()
    bridge.labels.data[frame] = 50
    bridge.next_object()
    assert bridge.session.active == 41, "what was drawn was our own doing"
    bridge.viewer.dims.set_point(0, 3)
    bridge.viewer.dims.set_point(0, 2)
    bridge.next_object()
    assert bridge.session.active == 51


def test_ids_of_others_are_found_where_they_are_drawn(bridge: LayerBridge) -> None:
    session, here, there = bridge.session, (2, None, None), (3, None, None)
    bridge.labels.data[2:4, 20:25, 20:25] = 40
    assert session.region(40, there).area == 25, "not on screen"
    bridge.labels.refresh()
    assert session.region(40, here).area == 25
    assert session.next_id() == 41
    assert session.knows_ids(here)
    assert not session.knows_ids(there)
    bridge.close()
    assert not session.knows_ids(here), "nobody hears of what is drawn any more"
