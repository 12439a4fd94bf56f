"""From masks to label edits: neighbours and strokes stay, only what changes is written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam.engine import SamError
from napari_sam.session import Footprint, LabelEdit, Region, mask_to_edit
from napari_sam.session.edits import (
    LARGEST_WINDOW,
    PIXELS_LISTED,
    region_of,
    writes,
)
from napari_sam.session.label_arrays import PIXELS_IN_STRIP

SHAPE = (6, 7)
FRAME = (1, None, None)
OBJECT, NEIGHBOUR = 3, 8

masks = arrays(bool, SHAPE)


def picture(text: str) -> np.ndarray:
    """A frame drawn in characters: digits are ids, a dot is background."""
    rows = text.split()
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint16)


@dataclass(frozen=True)
class EditCase:
    name: str
    before: str
    mask: str
    after: str
    protect: bool = True


EDIT_CASES = [
    EditCase("on background", "... ...", ".3. .33", ".3. .33"),
    EditCase("a neighbour keeps its pixels", "8.. 88.", "333 333", "833 883"),
    EditCase("unless that is allowed", "8.. 88.", "333 333", "333 333", protect=False),
    EditCase("what was there by hand stays", "3.. ...", "... .33", "3.. .33"),
    EditCase("an empty mask changes nothing", "8.3 ...", "... ...", "8.3 ..."),
]


@pytest.mark.parametrize("case", EDIT_CASES, ids=lambda c: c.name)
def test_edit(case: EditCase) -> None:
    labels = picture(case.before)
    edit, footprint = mask_to_edit(
        Region.from_mask(picture(case.mask) > 0),
        labels,
        (None, None),
        OBJECT,
        Footprint.empty(),
        protect_neighbours=case.protect,
    )
    labels[edit.indices] = edit.values
    np.testing.assert_array_equal(labels, picture(case.after))
    assert footprint.landed.area <= (labels == OBJECT).sum()


@settings(max_examples=2 * settings().max_examples)
@given(st.lists(masks, min_size=1, max_size=4), masks, arrays(bool, (4, *SHAPE)), st.data())
def test_any_sequence_of_masks_and_strokes(decoded, neighbour, strokes, data) -> None:
    """Whatever is decoded and painted in whatever order: three promises hold."""
    labels = np.zeros((3, *SHAPE), np.uint16)
    labels[1][neighbour] = NEIGHBOUR
    footprint = Footprint.empty()
    by_hand = np.zeros(SHAPE, np.int8)  # 1 painted, -1 erased
    for mask, stroke in zip(decoded, strokes, strict=False):
        edit, footprint = mask_to_edit(Region.from_mask(mask), labels, FRAME, OBJECT, footprint)
        before = labels.copy()
        assert (labels[edit.indices] != edit.values).all(), "only pixels that change are written"
        labels[edit.indices] = edit.values
        expected = ((mask & (by_hand >= 0)) | (by_hand > 0)) & ~neighbour
        np.testing.assert_array_equal(labels[1] == OBJECT, expected)
        np.testing.assert_array_equal(labels[1] == NEIGHBOUR, neighbour)
        assert not labels[[0, 2]].any(), "other frames are not touched"
        undone = labels.copy()
        undone[edit.indices] = edit.before
        np.testing.assert_array_equal(undone, before)
        paints = data.draw(st.booleans())
        free = stroke & ~neighbour & ((labels[1] == OBJECT) != paints)
        labels[1][free] = OBJECT if paints else 0
        # Painted and erased again before any mask came near, a pixel is as if never touched
        landed = footprint.landed.within((0, 0, *SHAPE))
        by_hand[free] = 1 if paints else np.where(landed[free], -1, 0)


@given(masks)
def test_a_region_is_its_mask(mask) -> None:
    region = Region.from_mask(mask)
    np.testing.assert_array_equal(region.within((0, 0, *SHAPE)), mask)
    assert region.area == mask.sum()
    if mask.any():
        assert region.pixels.any(axis=0)[[0, -1]].all(), "the crop is tight"
        assert region.pixels.any(axis=1)[[0, -1]].all(), "the crop is tight"


class OnlyAWindow:
    """Labels that notice how much of them is read."""

    dtype = np.dtype(np.uint16)

    def __init__(self) -> None:
        self.read = 0

    def __getitem__(self, index):
        window = np.zeros((5000, 5000), np.uint16)[index[1:]]
        self.read += window.size
        return window


def test_only_the_window_around_the_object_is_read() -> None:
    labels = OnlyAWindow()
    mask = np.zeros((5000, 5000), bool)
    mask[100:110, 200:220] = True
    mask_to_edit(Region.from_mask(mask), labels, (4, None, None), 1, Footprint.empty())
    assert labels.read == 10 * 20


def test_an_id_beyond_the_type_is_refused() -> None:
    with pytest.raises(SamError, match=r"^256 is not an object id.*255 or less"):
        mask_to_edit(
            Region.from_mask(np.ones((2, 2), bool)),
            np.zeros((2, 2), np.uint8),
            (None, None),
            256,
            Footprint.empty(),
        )


@pytest.mark.parametrize("shape", [(5, 6), (700, 900), (3, 2 * PIXELS_IN_STRIP), (0, 4)])
@pytest.mark.parametrize("n", [0, 1, 40])
def test_an_object_is_found_wherever_its_pixels_are(shape: tuple[int, int], n: int) -> None:
    mask = np.zeros(shape, bool)
    mask.flat[np.random.default_rng(n).integers(0, max(1, mask.size), n if mask.size else 0)] = True
    labels = np.where(mask, OBJECT, NEIGHBOUR)[None]
    assert region_of(OBJECT, labels, (0, None, None)) == Region.from_mask(mask)


places = st.sampled_from([(0, None, None), (2, None, None), (None, 3, None), (None, None, 1)])


@given(st.lists(st.tuples(places, st.data()), max_size=6))
def test_edits_written_together_are_those_written_one_by_one(given_) -> None:
    """In any order, over each other, in frames that cross."""
    labels = np.random.default_rng(0).integers(0, 4, (3, *SHAPE)).astype(np.uint16)
    one_by_one, edits = labels.copy(), []
    for object_id, (frame, data) in enumerate(given_, start=5):
        shape = tuple(n for n, i in zip(labels.shape, frame, strict=True) if i is None)
        mask = Region.from_mask(data.draw(arrays(bool, shape)))
        edit, _ = mask_to_edit(
            mask, one_by_one, frame, object_id, Footprint.empty(), protect_neighbours=False
        )
        one_by_one[edit.indices] = edit.values
        edits.append(edit)
    before = labels.copy()
    for indices, values in writes(edits, labels):
        labels[indices] = values
    np.testing.assert_array_equal(labels, one_by_one)
    for indices, values in writes([edit.reverse for edit in reversed(edits)], labels):
        labels[indices] = values
    np.testing.assert_array_equal(labels, before)


def edit_of(side: int, top: int = 0) -> LabelEdit:
    """A square of background that becomes an object."""
    values = np.ones(side * side, np.uint16)
    return LabelEdit(
        (1, None, None), Region(top, top, np.ones((side, side), bool)), values, 0 * values
    )


FEW, MANY = int(PIXELS_LISTED**0.5), int(PIXELS_LISTED**0.5) + 1
FAR = int(LARGEST_WINDOW**0.5)
WRITE_CASES = {
    "nothing": ([], []),
    "one object, pixel by pixel": ([edit_of(FEW)], [(FEW**2,)]),
    "a huge one as a window": ([edit_of(MANY)], [(MANY, MANY)]),
    "neighbours in one window": ([edit_of(3), edit_of(3, top=7)], [(10, 10)]),
    "those far apart in two": ([edit_of(3), edit_of(3, top=FAR)], [(3, 3), (3, 3)]),
}


@pytest.mark.parametrize("case", WRITE_CASES)
def test_what_is_written_at_once(case: str) -> None:
    edits, shapes = WRITE_CASES[case]
    labels = np.zeros((2, FAR + 10, FAR + 10), np.uint16)
    assert [values.shape for _, values in writes(edits, labels)] == shapes
