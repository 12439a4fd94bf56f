"""Masks: how good they are, where they lie, and how they look."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.draw import ellipse, polygon

from napari_sam.engine import masks
from napari_sam.engine.errors import FrameError

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=15))
FRAME = (30, 40)
VERTICES = hnp.arrays(
    float, st.tuples(st.integers(3, 9), st.just(2)), elements=st.floats(-10, 45, width=32)
)


def picture(text: str) -> np.ndarray:
    """A mask drawn by # and . in rows."""
    return np.array([[character == "#" for character in row] for row in text.split()])


def distance_to_outline(vertices: np.ndarray) -> np.ndarray:
    """From every pixel's centre to the nearest edge of a polygon, in pixels."""
    centres = np.stack(np.indices(FRAME), axis=-1)[..., None, :]  # (H, W, 1, 2)
    edges = np.roll(vertices, -1, axis=0) - vertices
    lengths = np.maximum((edges**2).sum(axis=-1), 1e-12)
    along = np.clip(((centres - vertices) * edges).sum(axis=-1) / lengths, 0, 1)
    nearest = vertices + along[..., None] * edges
    return np.linalg.norm(centres - nearest, axis=-1).min(axis=-1)


# Scores


def test_stability_is_the_iou_of_two_cuts():
    logits = np.array([[-2.0, -0.5, 0.5, 2.0], [3.0, 3.0, -3.0, -3.0]])
    assert masks.stability_score(logits) == pytest.approx(3 / 5)
    assert masks.stability_score(logits, offset=0.1) == 1
    assert masks.stability_score(logits, threshold=1.5, offset=1.0) == pytest.approx(2 / 3)


def test_stability_of_many_masks_and_of_none():
    logits = np.stack([np.full((2, 3, 4), 5.0), np.full((2, 3, 4), -5.0)])
    assert masks.stability_score(logits).tolist() == [[1, 1], [0, 0]]


@given(hnp.arrays("float32", (5, 6), elements=st.floats(-9, 9, width=32)), st.floats(0, 5))
def test_stability_is_that_of_the_paper(logits, offset):
    higher, lower = logits > offset, logits > -offset
    assume(lower.any())
    expected = (higher & lower).sum() / (higher | lower).sum()
    assert masks.stability_score(logits, offset=offset) == pytest.approx(expected)


@given(MASKS, st.data())
def test_iou_is_symmetric_and_one_only_for_equals(mask, data):
    other = data.draw(hnp.arrays(bool, mask.shape))
    assert masks.iou(mask, other) == masks.iou(other, mask)
    assert 0 <= masks.iou(mask, other) <= 1
    assert (masks.iou(mask, other) == 1) == np.array_equal(mask, other)


def test_iou_counts_pixels():
    assert masks.iou(picture("###.. ....."), picture(".###. .....")) == 0.5
    assert masks.area(picture("###.. ..#..")) == 4


# Where a mask lies


@given(MASKS)
def test_a_box_holds_its_mask_and_nothing_is_smaller(mask):
    box = masks.mask_to_box(mask)
    if box is None:
        assert not mask.any()
        return
    top, left, bottom, right = (int(edge + 0.5) for edge in box)
    inside = mask[top:bottom, left:right]
    assert inside.sum() == mask.sum()
    assert inside[0].any()
    assert inside[-1].any()
    assert inside[:, 0].any()
    assert inside[:, -1].any()


@given(MASKS)
def test_an_interior_point_is_in_the_mask(mask):
    point = masks.interior_point(mask)
    if point is None:
        assert not mask.any()
    else:
        assert mask[int(point[0]), int(point[1])]


INTERIOR_CASES = {
    "the middle": ("..... .###. .###. .###. .....", (2, 2)),
    "a lone pixel": ("..... ...#. .....", (1, 3)),
    "beyond the border is outside": ("#####.. #####.. #####..", (1, 1)),
    "the thicker part": ("#...... ####### #...### ....###", (2, 5)),
}


@pytest.mark.parametrize("name", INTERIOR_CASES)
def test_interior_points(name):
    drawn, expected = INTERIOR_CASES[name]
    assert masks.interior_point(picture(drawn)) == expected


# Shapes to masks


@given(VERTICES)
def test_polygons_hold_the_pixels_that_scikit_image_finds(vertices):
    mask = masks.polygon_mask(vertices, FRAME)
    expected = np.zeros(FRAME, bool)
    expected[polygon(vertices[:, 0], vertices[:, 1], FRAME)] = True
    certain = distance_to_outline(vertices) > 1e-6  # scikit-image counts centres on edges too
    assert np.array_equal(mask[certain], expected[certain])


@given(hnp.arrays("int8", (5, 2), elements=st.integers(0, 29)), st.integers(0, 3))
def test_polygons_with_a_common_edge_share_no_pixel(vertices, start):
    """Triangles from one corner cover what the whole polygon covers, by the even-odd rule."""
    corners = np.roll(vertices.astype(float), start, axis=0)
    whole = masks.polygon_mask(corners, FRAME)
    parts = [masks.polygon_mask(corners[[0, i, i + 1]], FRAME) for i in range(1, 4)]
    assert np.array_equal(whole, np.logical_xor.reduce(parts))


def test_a_polygon_may_be_closed_and_wound_either_way():
    corners = np.array([(3.0, 4.0), (3.0, 20.0), (18.0, 20.0), (25.0, 7.0)])
    mask = masks.polygon_mask(corners, FRAME)
    assert np.array_equal(mask, masks.polygon_mask(np.vstack([corners, corners[:1]]), FRAME))
    assert np.array_equal(mask, masks.polygon_mask(corners[::-1], FRAME))


@pytest.mark.parametrize("angle", [0, 20, 45, 90, 200])
def test_ellipses_may_be_rotated(angle):
    half_y, half_x, centre = 5.3, 11.2, np.array([14.3, 20.1])
    turn = np.deg2rad(angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners = np.array([(-half_y, -half_x), (-half_y, half_x), (half_y, half_x), (half_y, -half_x)])
    mask = masks.ellipse_mask(corners @ rotation.T + centre, FRAME)
    expected = np.zeros(FRAME, bool)
    expected[ellipse(*centre, half_y, half_x, FRAME, rotation=turn)] = True
    assert np.array_equal(mask, expected)


def test_a_skewed_ellipse_keeps_its_area():
    corners = np.array([(5.0, 5.0), (5.0, 20.0), (25.0, 30.0), (25.0, 15.0)])
    area = masks.area(masks.ellipse_mask(corners, FRAME))
    assert area == pytest.approx(np.pi / 4 * 20 * 15, rel=0.02)


# Pictures


def test_an_overlay_tints_and_outlines_objects_only():
    grey = np.full((*FRAME, 3), 100, np.uint8)
    labels = np.zeros(FRAME, np.uint16)
    labels[5:15, 5:15], labels[5:15, 15:25] = 1, 2
    shown = masks.overlay(grey, labels).astype(int)
    assert shown.dtype.kind == "i"
    assert (shown[labels == 0] == 100).all()
    assert (shown[labels > 0] != 100).any(axis=-1).all()
    inside, outline = shown[10, 10], shown[10, 5]
    assert np.abs(outline - 100).sum() > np.abs(inside - 100).sum()
    assert np.abs(shown[10, 10] - shown[10, 20]).sum() > 60  # two ids, two colours
    assert not np.array_equal(shown[10, 14], inside)  # and a border between them


def test_an_overlay_of_nothing_is_the_picture():
    grey = np.full((*FRAME, 3), 100, np.uint8)
    assert np.array_equal(masks.overlay(grey, np.zeros(FRAME, int)), grey)


def test_an_overlay_of_another_size_is_explained():
    with pytest.raises(FrameError, match="do not cover"):
        masks.overlay(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), int))


@pytest.mark.parametrize("highest", [7, 2**40])
def test_windows_of_ids_however_high(highest: int) -> None:
    labels = np.zeros((6, 8), np.int64)
    labels[1:3, 2:5], labels[4:, 7] = 3, highest
    assert masks.windows_of(labels) == {3: np.s_[1:3, 2:5], highest: np.s_[4:6, 7:8]}
    assert masks.windows_of(np.full((2, 2), highest)) == {highest: np.s_[0:2, 0:2]}
