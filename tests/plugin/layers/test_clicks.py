"""What becomes of clicks that make no object, of pasted boxes and of undo; the brush keeps off."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)

from annotating import answer
from napari_sam.plugin.layers import LayerBridge
from napari_sam.session import Request

SHOWN = (1, None, None)
BOX = np.array([[1, 5, 6], [1, 5, 16], [1, 15, 16], [1, 15, 6]])


def disk(request: Request) -> np.ndarray:
    """Radius 3 around the last point, or the box."""
    rows, columns = np.ogrid[:40, :50]
    if request.prompts.box is not None:
        y0, x0, y1, x1 = request.prompts.box
        return (rows >= y0) & (rows <= y1) & (columns >= x0) & (columns <= x1)
    y, x = request.prompts.points[-1]
    return (rows - y) ** 2 + (columns - x) ** 2 <= 9


class Scene:
    """A stack of four frames, the second shown; requests are answered when napari is done."""

    def __init__(self) -> None:
        self.viewer, self.deferred, self.said = ViewerModel(), [], []
        image = self.viewer.add_image(np.zeros((4, 40, 50), np.uint8), name="cells")
        self.viewer.dims.set_point(0, 1)
        self.bridge = LayerBridge(self.viewer, image, defer=self._later)
        self.bridge.notice.connect(self.said.append)
        self.mask: Callable[[Request], np.ndarray] = disk

    def _later(self, function: Callable[[], None]) -> None:
        if function not in self.deferred:
            self.deferred.append(function)

    def settle(self) -> None:
        """Do what was deferred, and answer what is requested."""
        session = self.bridge.session
        while self.deferred or session.pending():
            while self.deferred:
                self.deferred.pop(0)()
            for request in session.pending():
                session.land(answer(request, self.mask(request)))

    def click(self, y: float, x: float) -> None:
        self.bridge.points.add([1, y, x])
        self.settle()

    @property
    def listed(self) -> list[int]:
        return [each.object_id for each in self.bridge.session.objects()]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_the_next_prompt_is_described_again_only_where_it_is_another(scene: Scene) -> None:
    layers = (scene.bridge.points, scene.bridge.shapes)
    scene.click(10, 10)
    told: list[object] = []
    for layer in layers:
        layer.events.feature_defaults.connect(told.append)
    scene.bridge.set_negative(False)
    scene.bridge.snapshot()
    assert not told
    scene.bridge.set_negative(True)
    assert len(told) == len(layers)
    scene.bridge.next_object()
    for layer in layers:
        assert layer.feature_defaults.iloc[0].to_dict() == {
            "object": 2,
            "label": "negative",
            "view": "1 2",
        }
    scene.click(30, 30)
    assert scene.bridge.points.features["label"].tolist() == ["negative"]
    np.testing.assert_allclose(scene.bridge.points.face_color[0], [1, 0.302, 0.302, 1], atol=1e-3)


def test_a_click_inside_an_object_says_which_it_is(scene: Scene) -> None:
    scene.click(10, 10)
    before = scene.bridge.labels.data.copy()
    scene.bridge.next_object()
    scene.click(10, 10)
    assert scene.said == ["That is object 1: Shift+click to continue with it."]
    assert scene.listed == [1]
    assert len(scene.bridge.points.data) == 0, "the click goes"
    np.testing.assert_array_equal(scene.bridge.labels.data, before)
    scene.click(30, 30)
    assert scene.listed == [1, 2]


def test_a_click_on_nothing_says_so(scene: Scene) -> None:
    scene.mask = lambda request: np.zeros((40, 50), bool)
    scene.click(10, 10)
    assert "finds nothing" in scene.said[-1]
    assert (scene.listed, len(scene.bridge.points.data)) == ([], 0)


def test_a_correction_that_leaves_nothing_says_so(scene: Scene) -> None:
    scene.click(10, 10)
    before = scene.bridge.labels.data.copy()
    scene.mask = lambda request: np.zeros((40, 50), bool)
    scene.click(12, 12)
    assert "Nothing of object 1 would be left" in scene.said[-1]
    np.testing.assert_array_equal(scene.bridge.labels.data, before)
    assert len(scene.bridge.points.data) == 1


def test_with_one_object_per_prompt_a_click_moves_no_object_of_others(scene: Scene) -> None:
    """Found, propagated, or from another program: it has pixels here, but no prompt."""
    bridge = scene.bridge
    bridge.labels.data_setitem((np.array([1]), np.array([30]), np.array([40])), 5)
    scene.settle()
    bridge.set_one_object_per_prompt(True)
    bridge.select(5)
    scene.settle()
    scene.click(10, 10)
    assert bridge.labels.data[1, 30, 40] == 5
    assert bridge.labels.data[1, 10, 10] == 6
    assert bridge.session.active == 6


def test_the_brush_keeps_off_neighbours_as_masks_do(scene: Scene) -> None:
    bridge = scene.bridge
    for on, wanted in ((True, 1), (False, 2)):
        bridge.set_protected(on)
        scene.click(10, 10)
        bridge.next_object()
        bridge.labels.brush_size = 3
        bridge.labels.selected_label = 2
        bridge.labels.paint((1, 10, 10), 2)
        assert bridge.labels.data[1, 10, 10] == wanted
        bridge.select(1)


def test_a_pasted_box_is_one_step_of_undo(scene: Scene) -> None:
    shapes = scene.bridge.shapes
    shapes.add(BOX, shape_type="rectangle")
    scene.settle()
    shapes.selected_data = {0}
    shapes._copy_data()
    scene.viewer.dims.set_point(0, 3)
    shapes._paste_data()
    scene.settle()
    labels = scene.bridge.labels.data
    assert [int((labels[t] == 1).sum()) for t in range(4)] == [0, 121, 0, 121]
    scene.bridge.undo()
    assert [int((labels[t] == 1).sum()) for t in range(4)] == [0, 121, 0, 0]
    assert len(shapes.data) == 1


def test_undo_says_what_was_undone(scene: Scene) -> None:
    scene.click(10, 10)
    scene.bridge.undo()
    scene.bridge.redo()
    scene.bridge.undo()
    scene.bridge.undo()
    assert scene.said == [
        "Undone: prompt of object 1.",
        "Redone: prompt of object 1.",
        "Undone: prompt of object 1.",
        "There is nothing to undo.",
    ]
    scene.bridge.points.add([1, 10, 10])
    scene.deferred.pop(0)()
    scene.bridge.undo()
    assert scene.said[-1] == "Undone: prompt of object 1.", "it was not answered yet"


class Mouse:
    """A press, a move and a release over a layer."""

    def __init__(self, zoom: float) -> None:
        self.zoom, self.type, self.pos = zoom, "", (0.0, 0.0)
        self.button, self.buttons, self.modifiers, self.handled = 1, [1], (), False
        self.is_dragging, self.dims_displayed, self.view_direction = False, [1, 2], None
        self.up_direction, self.dims_point, self.native = None, (1, 0, 0), None
        self.inverted, self.delta = False, None

    @property
    def position(self) -> tuple[float, ...]:
        return (1.0, self.pos[1] / self.zoom, self.pos[0] / self.zoom)

    def drag(self, layer, start, end) -> None:
        """From one place on the screen to another, ``(x, y)``."""
        self.type, self.pos = "mouse_press", start
        mouse_press_callbacks(layer, self)
        self.type, self.pos, self.is_dragging = "mouse_move", end, True
        mouse_move_callbacks(layer, self)
        self.type = "mouse_release"
        mouse_release_callbacks(layer, self)


@pytest.mark.parametrize("zoom", [0.25, 1.0, 10.0])
@pytest.mark.parametrize("tool", ["rectangle", "ellipse"])
def test_a_click_with_the_box_tool_is_no_box(scene: Scene, tool: str, zoom: float) -> None:
    """napari makes a box of it, of several pixels if the image is shown small."""
    scene.bridge.use(tool)
    scene.bridge.shapes.scale_factor = 1 / zoom
    mouse = Mouse(zoom)
    mouse.drag(scene.bridge.shapes, (10 * zoom, 10 * zoom), (10 * zoom + 1, 10 * zoom + 1))
    scene.settle()
    assert scene.said == ["That was a click: drag from corner to corner to draw it."]
    assert (scene.listed, len(scene.bridge.shapes.data)) == ([], 0)
    mouse.drag(scene.bridge.shapes, (10 * zoom, 10 * zoom), (30 * zoom, 25 * zoom))
    scene.settle()
    assert (scene.listed, len(scene.bridge.shapes.data)) == ([1], 1)
