"""Whatever units the layers beside the image have, a click lands on the pixel that was clicked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.components.dims import Dims
from napari.layers import Image

from napari_sam.plugin.layers import LayerBridge
from napari_sam.plugin.layers.view import go_to_frame
from napari_sam.plugin.layers.world import to_data, to_world

pytestmark = pytest.mark.skipif(
    not hasattr(Dims(), "units"), reason="this napari shows all layers in their own units"
)

SHAPE, AT = (5, 40, 60), (3, 12, 21)


class Placing(NamedTuple):
    """Where an image of micrometres lies, on three axes."""

    name: str
    placement: dict[str, object]
    order: tuple[int, ...] = (0, 1, 2)


PLACINGS = (
    Placing("plain", {}),
    Placing("scale", {"scale": (2.0, 0.5, 0.25)}),
    Placing("translate", {"scale": (2.0, 0.5, 0.5), "translate": (-7.0, 3.0, 11.5)}),
    Placing("negative scale", {"scale": (1.0, -0.5, 0.5)}),
    Placing("rotate", {"scale": (1.0, 0.5, 0.5), "rotate": np.eye(3)[:, [0, 2, 1]] * [1, 1, -1]}),
    Placing("shear", {"shear": [0.0, 0.0, 0.4]}),
    Placing("affine", {"affine": [[2, 0, 0, 5], [0, 0, 1, 0], [0, -1, 0, 9], [0, 0, 0, 1]]}),
    Placing("from the side", {"scale": (2.0, 0.5, 0.5)}, order=(1, 0, 2)),
    Placing("transposed", {"scale": (2.0, 0.5, 0.5)}, order=(0, 2, 1)),
)


def finer(viewer: ViewerModel) -> None:
    """A layer in nanometres: napari's world is in these then."""
    scale = (1000.0, 500.0, 500.0)
    viewer.add_image(np.zeros(SHAPE, np.uint8), scale=scale, units=("nm",) * 3)


def finer_plane(viewer: ViewerModel) -> None:
    """The same with fewer axes."""
    viewer.add_image(np.zeros(SHAPE[1:], np.uint8), scale=(500.0, 500.0), units=("nm",) * 2)


def coarser(viewer: ViewerModel) -> None:
    """A layer in millimetres: the world stays in micrometres."""
    viewer.add_image(np.zeros(SHAPE, np.uint8), scale=(0.001,) * 3, units=("mm",) * 3)


def chosen(viewer: ViewerModel) -> None:
    """The user has the world in nanometres."""
    viewer.layers.units = ("nm",) * 3


BESIDE: dict[str, tuple[Callable[[ViewerModel], None], tuple[float, ...]]] = {
    "nothing": (lambda viewer: None, (1.0, 1.0, 1.0)),
    "nm": (finer, (1000.0, 1000.0, 1000.0)),
    "nm in a plane": (finer_plane, (1000.0, 1000.0, 1000.0)),
    "mm": (coarser, (1.0, 1.0, 1.0)),
    "nm chosen": (chosen, (1000.0, 1000.0, 1000.0)),
}


def image_in(viewer: ViewerModel, placing: Placing) -> Image:
    return viewer.add_image(np.zeros(SHAPE, np.uint8), units=("um",) * 3, **placing.placement)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("beside", list(BESIDE))
@pytest.mark.parametrize("placing", PLACINGS, ids=lambda placing: placing.name)
def test_a_click_lands_on_the_pixel_clicked(placing: Placing, beside: str, when: str) -> None:
    viewer = ViewerModel()
    add, factors = BESIDE[beside]
    image = image_in(viewer, placing)
    if when == "before":
        add(viewer)
    bridge = LayerBridge(viewer, image)
    if when == "after":
        add(viewer)
    viewer.dims.order = placing.order
    at_world = np.asarray(image.data_to_world(AT)) * factors
    viewer.dims.set_point(range(3), at_world)

    displayed = sorted(viewer.dims.displayed)
    frame = tuple(None if axis in displayed else i for axis, i in enumerate(AT))
    assert bridge.frame == frame
    point_yx = tuple(AT[axis] for axis in displayed)
    assert bridge.point_in_frame(at_world) == pytest.approx(point_yx)
    assert to_world(viewer, image, AT) == pytest.approx(at_world)
    assert to_data(viewer, image, at_world) == pytest.approx(AT)

    bridge.points.add(bridge.points.world_to_data(at_world))  # as napari's own tool does
    (request,) = bridge.session.pending()
    assert request.frame == frame
    assert request.prompts.points == (pytest.approx(point_yx),)


def test_the_sliders_go_to_a_frame_in_any_units() -> None:
    viewer = ViewerModel()
    image = image_in(viewer, PLACINGS[1])
    finer(viewer)
    go_to_frame(viewer, image, (4, None, None))
    assert viewer.dims.point[0] == pytest.approx(4 * 2.0 * 1000)


def test_the_world_is_coarse_again_when_the_fine_layer_is_gone() -> None:
    viewer = ViewerModel()
    image = image_in(viewer, PLACINGS[1])
    bridge = LayerBridge(viewer, image)
    finer(viewer)
    assert str(bridge.points.units[0]) == "nanometer"
    viewer.layers.pop()
    assert str(bridge.points.units[0]) == "micrometer"
    assert str(viewer.dims.units[0]) == "micrometer"
    np.testing.assert_array_equal(bridge.points.affine.affine_matrix, np.eye(4))
