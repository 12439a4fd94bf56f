"""The bridge between layers and session, on a viewer model: no Qt, no screen, no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Points, Shapes

from napari_sam.engine import Prediction, Prompts
from napari_sam.plugin.layers.bridge import LayerBridge
from napari_sam.session import Answer, Region, Request

PICTURE = np.zeros((20, 30, 3), np.uint8)


def disk(request: Request, shape: tuple[int, int]) -> np.ndarray:
    """A mask around what was requested: radius 2 at the last point, or the box."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    if request.prompts.box is not None:
        y0, x0, y1, x1 = request.prompts.box
        return (rows >= y0) & (rows <= y1) & (columns >= x0) & (columns <= x1)
    y, x = request.prompts.points[-1]
    return (rows - y) ** 2 + (columns - x) ** 2 <= 4


def answer_at_once(bridge: LayerBridge) -> list[Request]:
    """Answer every request of a bridge as a network would, and keep a list of them."""
    requests: list[Request] = []

    def land(request: Request) -> None:
        requests.append(request)
        mask = disk(request, bridge.session.stack.frame_shape_of(request.frame))
        prediction = Prediction(
            np.zeros((3, 4, 4), np.float32),
            np.array([0.9, 0.5, 0.4], np.float32),
            (1, 2, 3),
            0,
            lambda logits: np.zeros((len(logits), *mask.shape), bool),
        )
        answer = Answer(request, prediction, Region.from_mask(mask), 0.9, 0.8, "by hand", PICTURE)
        bridge.session.land(answer)

    bridge.session.requested.connect(land)
    return requests


@dataclass(frozen=True)
class TransformCase:
    name: str
    shape: tuple[int, ...]
    at: tuple[int, ...]  # the pixel that is clicked, in data coordinates
    placement: dict[str, Any] = field(default_factory=dict)
    order: tuple[int, ...] = ()
    rgb: bool = False
    levels: int = 1


CASES = [
    TransformCase("plain", (20, 30), (5, 7)),
    TransformCase("scale", (20, 30), (5, 7), {"scale": (0.5, 3.0)}),
    TransformCase("translate", (20, 30), (5, 7), {"translate": (-100, 40.5)}),
    TransformCase("rotate", (20, 30), (5, 7), {"rotate": 30}),
    TransformCase("shear", (20, 30), (5, 7), {"shear": [0.4]}),
    TransformCase("affine", (20, 30), (5, 7), {"affine": [[0, 2, 5], [-1, 0.5, 3], [0, 0, 1]]}),
    TransformCase(
        "all of them",
        (20, 30),
        (5, 7),
        {"scale": (2, 0.7), "translate": (9, -4), "rotate": 75, "shear": [0.2]},
    ),
    TransformCase("stack", (6, 20, 30), (4, 5, 7)),
    TransformCase("stack, z-scale 1.3", (40, 20, 30), (26, 5, 7), {"scale": (1.3, 0.2, 0.2)}),
    TransformCase("stack, translated", (6, 20, 30), (4, 5, 7), {"translate": (-50, 3, 4)}),
    TransformCase("side view", (16, 20, 30), (4, 5, 7), {"scale": (3, 1, 1)}, order=(1, 0, 2)),
    TransformCase("transposed", (16, 20, 30), (4, 5, 7), order=(0, 2, 1)),
    TransformCase("transposed side view", (16, 20, 30), (4, 5, 7), order=(2, 1, 0)),
    TransformCase("4D", (3, 5, 20, 30), (1, 4, 5, 7), {"scale": (1, 2.5, 0.3, 0.3)}),
    TransformCase("4D, rolled", (3, 15, 20, 30), (1, 4, 5, 7), order=(3, 0, 1, 2)),
    TransformCase("5D", (2, 3, 5, 20, 30), (1, 2, 4, 5, 7)),
    TransformCase("RGB", (20, 30), (5, 7), {"scale": (2, 3)}, rgb=True),
    TransformCase("RGB stack", (4, 20, 30), (3, 5, 7), rgb=True),
    TransformCase("RGB three pixels high", (3, 30), (1, 7), rgb=True),
    TransformCase("multiscale", (64, 96), (50, 70), {"scale": (0.5, 0.5)}, levels=3),
    TransformCase("multiscale stack", (4, 64, 96), (3, 50, 70), levels=2),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_click_lands_on_the_pixel_clicked(case: TransformCase) -> None:
    viewer = ViewerModel()
    data = np.zeros(case.shape + (3,) * case.rgb, np.uint8)
    pyramid = [
        data[(..., slice(None, None, 2**n), slice(None, None, 2**n))] for n in range(case.levels)
    ]
    image = viewer.add_image(
        pyramid if case.levels > 1 else data,
        rgb=case.rgb,
        multiscale=case.levels > 1,
        **case.placement,
    )
    viewer.dims.order = case.order or tuple(range(len(case.shape)))
    at_world = image.data_to_world(case.at)
    viewer.dims.set_point(range(len(at_world)), at_world)
    bridge = LayerBridge(viewer, image)
    requests = answer_at_once(bridge)

    bridge.points.add(bridge.points.world_to_data(at_world))

    displayed = sorted(viewer.dims.displayed)
    expected_frame = tuple(None if a in displayed else i for a, i in enumerate(case.at))
    assert requests[-1].frame == expected_frame
    assert requests[-1].prompts.points == (tuple(case.at[axis] for axis in displayed),)
    landed = np.argwhere(bridge.labels.data)
    assert bridge.labels.data[case.at] == 1
    assert abs(landed - case.at).max() <= 2, "nothing landed elsewhere"
    for axis in set(range(len(case.shape))) - set(displayed):
        assert (landed[:, axis] == case.at[axis]).all(), "only the shown frame changed"
    assert bridge.labels.get_value(at_world, world=True) == 1, "it shows where it was clicked"


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_preview_lies_where_the_mask_will(case: TransformCase) -> None:
    viewer = ViewerModel()
    data = np.zeros(case.shape + (3,) * case.rgb, np.uint8)
    image = viewer.add_image(data, rgb=case.rgb, **case.placement)
    viewer.dims.order = case.order or tuple(range(len(case.shape)))
    at_world = image.data_to_world(case.at)
    viewer.dims.set_point(range(len(at_world)), at_world)
    bridge = LayerBridge(viewer, image)
    height, width = bridge.session.stack.frame_shape_of(bridge.frame)
    y, x = (i for i, f in zip(case.at, bridge.frame, strict=True) if f is None)
    mask = np.zeros((height, width), bool)
    mask[max(0, y - 1) : y + 3, max(0, x - 2) : x + 2] = True
    mask[y, x - 2] = False

    bridge.show_preview(Region.from_mask(mask))
    assert bridge.preview.visible
    assert bridge.preview.data.size <= 16, "no more than the mask is held"
    assert not bridge.labels.data.any(), "a preview writes nothing"
    for row, column in np.ndindex(height, width):
        pixel = iter((row, column))
        place = [next(pixel) if i is None else i for i in bridge.frame]
        shown = bridge.preview.get_value(image.data_to_world(place), world=True)
        assert bool(shown) == mask[row, column]
    bridge.show_preview(Region.empty())
    assert not bridge.preview.visible


@pytest.fixture
def bridge() -> LayerBridge:
    """A stack of four frames, the second of them shown, every request answered at once."""
    return bridge_to_cells()


def bridge_to_cells(**options: Any) -> LayerBridge:
    """The same with other ways to put off."""
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((4, 40, 50), np.uint8), name="cells")
    viewer.dims.set_point(0, 1)
    bridge = LayerBridge(viewer, image, **options)
    answer_at_once(bridge)
    return bridge


class Later(dict[Callable[[], None], None]):
    """Puts off until told to run, as the window does."""

    def __call__(self, function: Callable[[], None]) -> None:
        self.setdefault(function)

    def run(self) -> None:
        while self:
            self.popitem()[0]()


BOX = np.array([[1, 5, 6], [1, 5, 16], [1, 15, 16], [1, 15, 6]])


def test_add_move_and_delete_are_each_decoded(bridge: LayerBridge) -> None:
    bridge.points.add([1, 10, 10])
    assert bridge.labels.data[1, 10, 10] == 1
    bridge.points.data = np.array([[1, 30, 30]])
    assert bridge.labels.data[1, 30, 30] == 1
    assert bridge.labels.data[1, 10, 10] == 0
    bridge.points.selected_data = {0}
    bridge.points.remove_selected()
    assert not bridge.labels.data.any()


def test_a_box_lands_and_a_click_without_a_drag_does_not(bridge: LayerBridge) -> None:
    bridge.shapes.add(BOX, shape_type="rectangle")
    assert bridge.labels.data[1].sum() == 11 * 11
    bridge.next_object()
    tiny = BOX.astype(float)
    tiny[:, 1:] = [[30, 30], [30, 30.5], [30.5, 30.5], [30.5, 30]]
    bridge.shapes.add(tiny, shape_type="rectangle")
    assert set(np.unique(bridge.labels.data)) == {0, 1}


def test_prompts_belong_to_their_frame_and_come_back(bridge: LayerBridge) -> None:
    bridge.points.add([1, 10, 10])
    bridge.viewer.dims.set_point(0, 3)
    bridge.points.add([3, 20, 20])
    assert bridge.session.prompted_frames(1) == {(1, None, None), (3, None, None)}
    assert bridge.labels.data[1, 10, 10] == bridge.labels.data[3, 20, 20] == 1
    assert not bridge.labels.data[[0, 2]].any()


def test_an_object_chosen_again_is_edited_under_its_id(bridge: LayerBridge) -> None:
    bridge.points.add([1, 10, 10])
    bridge.shapes.add(BOX, shape_type="rectangle")
    bridge.next_object()
    assert (len(bridge.points.data), len(bridge.shapes.data)) == (0, 0)
    bridge.points.add([1, 30, 40])
    assert bridge.labels.data[1, 30, 40] == 2
    labels = bridge.labels.data.copy()

    bridge.select(1)
    np.testing.assert_array_equal(bridge.points.data, [[1, 10, 10]])
    np.testing.assert_array_equal(bridge.shapes.data[0], BOX)
    np.testing.assert_array_equal(bridge.labels.data, labels)
    bridge.snapshot()
    np.testing.assert_array_equal(bridge.labels.data, labels, "to look is not to change")
    bridge.points.add([1, 12, 12])
    assert bridge.session.prompts(1, (1, None, None)).n == 3
    assert bridge.labels.data[1, 30, 40] == 2


def test_one_object_per_prompt() -> None:
    viewer, deferred = ViewerModel(), []
    image = viewer.add_image(np.zeros((40, 50), np.uint8))
    bridge = LayerBridge(viewer, image, defer=deferred.append)
    answer_at_once(bridge)
    bridge.set_one_object_per_prompt(True)
    clicks = [(5, 5), (5, 25), (25, 5)]
    for click in clicks:
        bridge.points.add(click)
        deferred.pop()()
    bridge.shapes.add(BOX[:, 1:] + 22, shape_type="rectangle")
    deferred.pop()()
    assert [bridge.labels.data[at] for at in [*clicks, (30, 30)]] == [1, 2, 3, 4]
    assert bridge.session.active == 4


def test_a_picked_label_is_the_active_object(bridge: LayerBridge) -> None:
    bridge.points.add([1, 10, 10])
    bridge.next_object()
    bridge.labels.selected_label = 1
    assert bridge.session.active == 1
    assert len(bridge.points.data) == 1


def test_ids_painted_by_hand_are_not_given_again(bridge: LayerBridge) -> None:
    bridge.labels.selected_label = 30
    bridge.labels.paint((1, 20, 20), 30)
    bridge.next_object()
    assert bridge.session.active == 31


def test_undo_and_redo_take_prompts_and_strokes_in_turn(bridge: LayerBridge) -> None:
    bridge.points.add([1, 10, 10])
    bridge.labels.paint((1, 30, 30), 1)
    bridge.points.add([1, 12, 12])
    states = [(bridge.labels.data.copy(), len(bridge.points.data))]
    for _ in range(3):
        bridge.undo()
        states.append((bridge.labels.data.copy(), len(bridge.points.data)))
    assert [n for _, n in states] == [2, 1, 1, 0]
    assert [bool(labels.any()) for labels, _ in states] == [True, True, True, False]
    assert states[1][0][1, 30, 30] == 1
    assert states[2][0][1, 30, 30] == 0
    for labels, n in states[-2::-1]:
        bridge.redo()
        np.testing.assert_array_equal(bridge.labels.data, labels)
        assert len(bridge.points.data) == n


def test_what_lands_amid_a_stroke_is_no_part_of_it(bridge: LayerBridge) -> None:
    frame = (1, None, None)
    with bridge.labels.block_history():
        bridge.labels.paint((1, 30, 30), 7)
        bridge.points.add([1, 10, 10])
        bridge.labels.paint((1, 30, 34), 7)
    assert bridge.session.annotation(1, frame).footprint.painted.area == 0
    assert bridge.session.annotation(7, frame).footprint.painted.area > 0
    bridge.undo()
    assert not (bridge.labels.data == 7).any(), "the stroke was finished last"
    assert bridge.labels.data[1, 10, 10] == 1
    bridge.undo()
    assert not bridge.labels.data.any()


@pytest.mark.slow
@pytest.mark.parametrize("stroke", ["brush", "bucket", "polygon"])
def test_every_way_to_paint_is_undone(bridge: LayerBridge, stroke: str) -> None:
    bridge.points.add([1, 10, 10])
    before = bridge.labels.data.copy()
    if stroke == "brush":
        bridge.labels.paint((1, 10, 11), 5)
    elif stroke == "bucket":
        bridge.labels.fill((1, 10, 10), 5)
    else:
        bridge.labels.paint_polygon([(1, 5, 5), (1, 5, 15), (1, 15, 15), (1, 15, 5)], 5)
    after = bridge.labels.data.copy()
    assert (after == 5).any()
    bridge.undo()
    np.testing.assert_array_equal(bridge.labels.data, before)
    bridge.redo()
    np.testing.assert_array_equal(bridge.labels.data, after)


def test_a_click_nobody_has_answered_yet_is_taken_back_first() -> None:
    viewer = ViewerModel()
    bridge = LayerBridge(viewer, viewer.add_image(np.zeros((4, 40, 50), np.uint8)))
    requests = answer_at_once(bridge)
    bridge.points.add([0, 10, 10])
    bridge.session.requested.disconnect()
    bridge.points.add([0, 30, 30])
    bridge.undo()
    assert bridge.session.pending() == ()
    np.testing.assert_array_equal(bridge.points.data, [[0, 10, 10]])
    assert len(requests) == 1
    assert bridge.labels.data[0, 10, 10] == 1


def test_undo_shows_the_frame_it_changes(bridge: LayerBridge) -> None:
    bridge.points.add([1, 10, 10])
    bridge.viewer.dims.set_point(0, 3)
    bridge.undo()
    assert bridge.frame == (1, None, None)


def test_one_step_of_naparis_own_undo_each(bridge: LayerBridge) -> None:
    bridge.points.add([1, 10, 10])
    first = bridge.labels.data.copy()
    bridge.points.add([1, 20, 20])
    bridge.labels.undo()
    np.testing.assert_array_equal(bridge.labels.data, first)
    bridge.labels.undo()
    assert not bridge.labels.data.any()


def test_layers_renamed_reordered_and_hidden(bridge: LayerBridge) -> None:
    for n, layer in enumerate(list(bridge.viewer.layers)):
        layer.name = f"renamed {n}"
    bridge.viewer.layers.reverse()
    bridge.labels.visible = False
    bridge.points.add([1, 10, 10])
    assert bridge.labels.data[1, 10, 10] == 1


def test_deleted_prompt_layers_come_back_with_their_prompts() -> None:
    later = Later()
    bridge = bridge_to_cells(defer=later)
    bridge.points.add([1, 10, 10])
    later.run()
    bridge.viewer.layers.remove(bridge.points)
    later.run()
    assert bridge.points in bridge.viewer.layers
    np.testing.assert_array_equal(bridge.points.data, [[1, 10, 10]])
    bridge.points.add([1, 20, 20])
    later.run()
    assert bridge.labels.data[1, 20, 20] == 1


@pytest.mark.parametrize("gone", ["image", "labels"])
def test_without_image_or_labels_the_bridge_closes(gone: str) -> None:
    later, closed = Later(), []
    bridge = bridge_to_cells(defer=later)
    bridge.closed.connect(lambda: closed.append(True))
    bridge.viewer.layers.remove(getattr(bridge, gone))
    later.run()
    assert closed == [True]
    assert not [layer for layer in bridge.viewer.layers if isinstance(layer, Points | Shapes)]
    bridge.viewer.dims.set_point(0, 2)  # nothing listens any more


def delete_selected(viewer: ViewerModel) -> None:
    viewer.layers.select_all()
    viewer.layers.remove_selected()


def delete_a_slice(viewer: ViewerModel) -> None:
    del viewer.layers[:]


WAYS_TO_CLEAR = {
    "clear": lambda viewer: viewer.layers.clear(),
    "delete selected": delete_selected,
    "delete a slice": delete_a_slice,
    "from the bottom": lambda viewer: [viewer.layers.pop(0) for _ in range(len(viewer.layers))],
    "from the top": lambda viewer: [viewer.layers.pop() for _ in range(len(viewer.layers))],
}


@pytest.mark.slow
@pytest.mark.parametrize("later", [Later(), None], ids=["put off", "at once"])
@pytest.mark.parametrize("on_top", [False, True], ids=["image below", "image on top"])
@pytest.mark.parametrize("way", WAYS_TO_CLEAR)
@pytest.mark.timeout(60)  # it once went on for ever
def test_clearing_the_viewer_closes_once(way: str, on_top: bool, later: Later | None) -> None:
    closed: list[bool] = []
    bridge = bridge_to_cells(**({} if later is None else {"defer": later}))
    viewer = bridge.viewer
    if on_top:
        viewer.layers.move(0, len(viewer.layers))
    bridge.closed.connect(lambda: closed.append(True))
    WAYS_TO_CLEAR[way](viewer)
    if later is not None:
        later.run()
    assert closed == [True]
    assert len(viewer.layers) == 0


def test_closed_and_opened_again_the_work_is_there(bridge: LayerBridge) -> None:
    bridge.points.add([1, 10, 10])
    labels = bridge.labels
    bridge.close()
    assert bridge.viewer.layers.index(labels) == 1
    again = LayerBridge(bridge.viewer, bridge.image)
    answer_at_once(again)
    assert again.labels is labels
    np.testing.assert_array_equal(again.points.data, [[1, 10, 10]])
    again.points.add([1, 30, 30])
    assert labels.data[1, 30, 30] == 1


def test_a_copy_of_the_labels_is_not_written_to(bridge: LayerBridge) -> None:
    bridge.points.add([1, 10, 10])
    copy = Labels(bridge.labels.data.copy(), metadata=bridge.labels.metadata)
    bridge.viewer.layers.insert(0, copy)
    bridge.close()
    assert LayerBridge(bridge.viewer, bridge.image).labels is not copy


def test_two_viewers_share_nothing() -> None:
    bridges = []
    for _ in range(2):
        viewer = ViewerModel()
        bridges.append(LayerBridge(viewer, viewer.add_image(np.zeros((40, 50), np.uint8))))
        answer_at_once(bridges[-1])
    bridges[0].points.add([10, 10])
    assert bridges[0].labels.data.any()
    assert not bridges[1].labels.data.any()


def test_no_frame_is_shown_in_3d_or_outside(bridge: LayerBridge) -> None:
    bridge.viewer.add_image(np.zeros((9, 40, 50), np.uint8))
    frames = []
    bridge.frame_changed.connect(frames.append)
    bridge.viewer.dims.set_point(0, 7)
    bridge.viewer.dims.set_point(0, 3)
    bridge.viewer.dims.ndisplay = 3
    assert frames == [None, (3, None, None), None]
    assert bridge.points.mode == "pan_zoom"
    bridge.viewer.dims.ndisplay = 2
    assert bridge.points.mode == "add"


def test_other_layers_may_have_more_dimensions() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((40, 50), np.uint8))
    viewer.add_image(np.zeros((3, 5, 40, 50), np.uint8))
    viewer.dims.set_point((0, 1), (2, 4))
    bridge = LayerBridge(viewer, image)
    answer_at_once(bridge)
    assert bridge.frame == (None, None)
    bridge.points.add([10, 20])
    assert bridge.labels.data[10, 20] == 1


def test_ids_beyond_16_bit_widen_the_labels(bridge: LayerBridge) -> None:
    bridge.points.add([1, 10, 10])
    bridge.session.widen(70_000)
    bridge.select(70_000)
    bridge.points.add([1, 30, 30])
    assert bridge.labels.data[1, 30, 30] == 70_000
    assert bridge.labels.data[1, 10, 10] == 1


@pytest.mark.slow
def test_a_stack_far_beyond_memory() -> None:
    viewer = ViewerModel()
    stack = da.zeros((2**17, 512, 512), np.uint8, chunks=(2**10, 512, 512))
    image = viewer.add_image(stack, contrast_limits=(0, 1))
    viewer.dims.set_point(0, 1234)
    bridge = LayerBridge(viewer, image)
    answer_at_once(bridge)
    bridge.points.add([1234, 300, 400])
    assert bridge.labels.data[1234, 300, 400] == 1
    bridge.next_object()
    assert bridge.session.active == 2
    bridge.undo()
    assert bridge.labels.data[1234, 300, 400] == 0


def test_new_pixels_in_the_image_make_a_new_stack(bridge: LayerBridge) -> None:
    """An embedding is found by the stack it was made from: a new one finds no old embedding."""
    before = bridge.session.stack
    bridge.image.data = np.ones((4, 40, 50), np.uint8)
    assert bridge.session.stack is not before
    assert bridge.session.stack.frame((1, None, None)).shape == (40, 50, 3)


def test_an_image_of_another_size_gets_labels_of_its_own(bridge: LayerBridge) -> None:
    bridge.points.add([1, 10, 10])
    before = bridge.labels
    bridge.image.data = np.zeros((4, 60, 70), np.uint8)
    assert bridge.points not in bridge.viewer.layers, "the bridge closed"
    again = LayerBridge(bridge.viewer, bridge.image)
    answer_at_once(again)
    assert again.labels is not before
    again.points.add([1, 55, 65])
    assert again.labels.data[1, 55, 65] == 1
    assert before.data[1, 10, 10] == 1, "what was annotated stays"


def test_labels_of_another_size_end_the_annotation_without_a_crash(bridge: LayerBridge) -> None:
    closed, said = [], []
    bridge.closed.connect(lambda: closed.append(True))
    bridge.notice.connect(said.append)
    bridge.labels.data = np.zeros((4, 5, 5), np.uint16)
    assert closed == [True]
    assert "have the shape (4, 5, 5)" in said[-1]


def test_our_layers_take_the_place_and_units_of_the_image() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(
        np.zeros((4, 40, 50), np.uint8),
        scale=(2, 0.5, 0.5),
        translate=(1, 2, 3),
        units=("um", "um", "um"),
        axis_labels=("z", "y", "x"),
    )
    bridge = LayerBridge(viewer, image)
    for layer in (bridge.labels, bridge.points, bridge.shapes, bridge.preview):
        assert layer.units == image.units
        assert layer.axis_labels == image.axis_labels
        np.testing.assert_array_equal(
            layer.data_to_world((1, 2, 3)), image.data_to_world((1, 2, 3))
        )


def test_prompts_given_outside_the_image_harm_nothing(bridge: LayerBridge) -> None:
    said: list[str] = []
    bridge.notice.connect(said.append)
    bridge.points.add([9, 10, 10])
    assert "outside a stack of 4 frames" in said[-1]
    bridge.points.add([1, 10, 10])
    assert bridge.labels.data[1, 10, 10] == 1
    assert bridge.session.prompts(1, (1, None, None)) == Prompts.from_points([(10, 10)])
