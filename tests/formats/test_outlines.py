"""Outlines of pixels, checked by shapely, and polygons filled again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from shapely.geometry import Polygon
from shapely.ops import unary_union

from labelled_cases import RING, all_one, single_pixels
from napari_sam.engine.masks import polygon_mask
from napari_sam.formats.filling import fill
from napari_sam.formats.outlines import by_object, outlines

ANY = hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 9)] * 2), elements=st.integers(0, 3))


@settings(max_examples=150, deadline=None)
@given(ANY)
def test_outlines_are_valid_and_hold_exactly_the_pixels(labels: np.ndarray) -> None:
    pieces = by_object(outlines(labels))
    assert sorted(pieces) == sorted(set(np.unique(labels).tolist()) - {0})
    for object_id, parts in pieces.items():
        polygons = [Polygon(part.outline, part.holes) for part in parts]
        assert all(polygon.is_valid for polygon in polygons)
        assert sum(polygon.area for polygon in polygons) == np.sum(labels == object_id)
        whole = unary_union(polygons)
        assert whole.area == np.sum(labels == object_id)
    again = np.zeros(labels.shape, np.uint16)
    rings = [
        (each, r) for each, parts in pieces.items() for p in parts for r in (p.outline, *p.holes)
    ]
    assert fill(again, [ring for _, ring in rings], [each for each, _ in rings]) == 0
    np.testing.assert_array_equal(again, labels)


def test_no_corner_too_many() -> None:
    (piece,) = outlines(all_one().labels)
    assert piece.outline.tolist() == [[0, 0], [0, 6], [5, 6], [5, 0]]
    assert len(outlines(single_pixels().labels)) == 8  # touching at corners only
    assert [len(parts) for parts in by_object(outlines(RING)).values()] == [1, 1, 1, 2, 2, 1]


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(float, st.tuples(st.integers(3, 8), st.just(2)), elements=st.floats(-3, 12)))
def test_filling_as_one_polygon_at_a_time(ring: np.ndarray) -> None:
    labels = np.zeros((9, 10), np.uint16)
    fill(labels, [ring], [7])
    np.testing.assert_array_equal(labels == 7, polygon_mask(ring - 0.5, labels.shape))


SQUARE = np.array([[0, 0], [0, 4], [4, 4], [4, 0]], float)


@pytest.mark.parametrize("rings", [[], [np.zeros((0, 2)), SQUARE + 1], [SQUARE + 90, SQUARE + 1]])
def test_rings_of_nothing(rings: list) -> None:
    labels = np.zeros((6, 6), np.uint16)
    fill(labels, rings, range(1, len(rings) + 1))
    assert labels.sum() == (16 * 2 if rings else 0)


def test_the_first_of_two_keeps_the_pixels() -> None:
    labels = np.zeros((6, 6), np.uint16)
    labels[0] = 9
    assert fill(labels, [SQUARE, SQUARE + 1], [1, 2]) == 4 + 9
    assert np.bincount(labels.ravel())[1:3].tolist() == [12, 7]
