"""Layers as prompts: through the transforms of both layers, with their features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.layers import Labels, Points, Shapes

from napari_sam import FrameStack
from napari_sam.engine import PromptSet
from napari_sam.headless import describe
from napari_sam.plugin.layers.as_prompts import read_layer

STACK = FrameStack.from_array(np.zeros((3, 20, 30), np.uint8), axes="TYX")
PLACES = {
    "one world": ({}, {}),
    "pixels of two sizes": ({"scale": (2, 0.5, 0.5)}, {"scale": (1, 2, 2)}),
    "one is shifted": ({"translate": (0, 5, 7)}, {}),
    "units": ({"scale": (1, 0.5, 0.5), "units": ("s", "um", "um")}, {"units": ("s", "nm", "nm")}),
    "one is turned": ({"affine": [[1, 0, 0, 0], [0, 0, -1, 9], [0, 1, 0, 0], [0, 0, 0, 1]]}, {}),
}


def target(**place) -> Labels:
    return Labels(np.zeros(STACK.shape, np.uint16), **place)


def in_layer(image: Labels, layer, at: tuple[float, ...]) -> np.ndarray:
    """Where a place in the image is in the data of a layer, by napari itself."""
    world = np.asarray(image.data_to_world(at))
    own = [
        float((1 * one).to(other).magnitude)
        for one, other in zip(image.units, layer.units, strict=True)
    ]
    return np.asarray(layer.world_to_data(world * own))


def described(prompts: PromptSet) -> list[tuple[tuple[int, ...] | None, str]]:
    return [(each.at, describe(each.prompts)) for each in prompts.objects]


@pytest.mark.parametrize("name", PLACES)
def test_points_lie_where_they_are_seen(name: str) -> None:
    on_image, on_points = PLACES[name]
    image, layer = target(**on_image), Points(ndim=3, **on_points)
    layer.data = [in_layer(image, layer, at) for at in ((0, 3, 4), (2, 18, 29))]
    read = read_layer(layer, image, STACK)()
    assert described(read) == [((0,), "point (3, 4)"), ((2,), "point (18, 29)")]


@pytest.mark.parametrize("name", PLACES)
def test_labels_lie_where_they_are_seen(name: str) -> None:
    on_image, on_labels = PLACES[name]
    image = target(**on_image)
    layer = Labels(np.zeros((6, 50, 70), np.uint16), **on_labels)
    wanted = np.zeros(STACK.shape, np.uint16)
    grid = np.stack(np.meshgrid(*map(np.arange, STACK.shape), indexing="ij"), -1).reshape(-1, 3)
    rng = np.random.default_rng(0)
    layer.data = np.kron(rng.integers(0, 4, (6, 5, 7)), np.ones((1, 10, 10))).astype(np.uint16)
    for at in grid[:: 7 if name != "one world" else 1]:
        pixel = np.floor(in_layer(image, layer, tuple(at)) + 0.5).astype(int)
        if ((pixel >= 0) & (pixel < layer.data.shape)).all():
            wanted[tuple(at)] = layer.data[tuple(pixel)]
    read = read_layer(layer, image, STACK)()
    got = np.zeros(STACK.shape, np.uint16)
    for each in read.objects:
        got[each.at][each.in_frame(STACK.frame_shape).mask] = each.object_id
    seen = tuple(grid[:: 7 if name != "one world" else 1].T)
    np.testing.assert_array_equal(got[seen], wanted[seen])


def test_labels_on_the_image_s_own_grid_and_of_one_frame() -> None:
    pixels = np.zeros((20, 30), np.uint16)
    pixels[3:6, 4:9] = 8
    one = read_layer(Labels(pixels), target(), STACK)()
    assert [(each.object_id, each.at, each.corner) for each in one.objects] == [(8, None, (3, 4))]
    coarse = read_layer(Labels(pixels[::2, ::2], scale=(2, 2)), target(), STACK)()
    assert [each.object_id for each in coarse.objects] == [8]
    assert read_layer(Labels(pixels, translate=(500, 0)), target(), STACK)().objects == ()


SHAPES = {
    "rectangle": ([[0, 2, 3], [0, 2, 9], [0, 8, 9], [0, 8, 3]], "box (2, 3, 8, 9)"),
    "ellipse": ([[1, 2, 3], [1, 2, 9], [1, 8, 9], [1, 8, 3]], "mask"),
    "polygon": ([[1, 2, 3], [1, 2, 9], [1, 8, 9]], "mask"),
    "path": ([[2, 5, 5], [2, 5, 13]], "5 points (5, 5) (5, 7) (5, 9) (5, 11) (5, 13)"),
    "line": ([[2, 5, 5], [2, 5, 13]], "5 points (5, 5) (5, 7) (5, 9) (5, 11) (5, 13)"),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_shapes(kind: str) -> None:
    vertices, wanted = SHAPES[kind]
    layer = Shapes([np.array(vertices, float)], shape_type=kind)
    (each,) = read_layer(layer, target(), STACK)().objects
    assert each.at == (vertices[0][0],)
    assert describe(each.in_frame(STACK.frame_shape)).split(" + ")[-1] == wanted


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # of napari itself
def test_a_shape_over_several_frames_and_a_point_that_is_nowhere() -> None:
    layer = Shapes([np.array([[0, 2, 3], [2, 8, 9], [1, 5, 5]])], shape_type="polygon")
    assert "spans several frames" in read_layer(layer, target(), STACK)().problems[0]
    points = Points([[0, 3, np.nan], [9, 3, 4], [0, 300, 4], [0, 3, 4]])
    fitted = read_layer(points, target(), STACK)().fitted(STACK)
    assert described(fitted) == [((0,), "point (3, 4)")]
    assert [each.where for each in fitted.left_out] == ["point 0", "point 1", "point 2"]


def test_features_give_numbers_classes_and_scores() -> None:
    features = pd.DataFrame(
        {"object_id": [7, 0, 9], "Class": ["a", None, "b"], "score": [0.5, np.nan, 1]}
    )
    points = Points([[3, 4], [5, 6], [7, 8]], features=features)
    read = read_layer(points, target(), STACK)()
    assert [(e.object_id, e.class_name, e.score) for e in read.objects] == [
        (7, "a", 0.5),
        (1, "", None),
        (9, "b", 1.0),
    ]
    assert {each.at for each in read.objects} == {None}
