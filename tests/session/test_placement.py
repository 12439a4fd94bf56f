"""Where an image lies in the world."""

from __future__ import annotations

import pytest

from napari_sam.session.placement import Placement


@pytest.mark.parametrize(
    ("axis_labels", "is_plain"),
    [(("-2", "-1"), True), (("axis -2", "axis -1"), True), (("y", "x"), False)],
    ids=["napari 0.9", "napari 0.6", "named"],
)
def test_the_default_of_napari_is_plain(axis_labels: tuple[str, str], is_plain: bool) -> None:
    square = ((1.0, 0.0), (0.0, 1.0))
    affine = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    place = Placement((1.0, 1.0), (0.0, 0.0), square, (0.0,), affine, ("pixel",) * 2, axis_labels)
    assert place.is_plain == is_plain
