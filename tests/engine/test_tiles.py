"""The grid of tiles over a frame, and what a part of a frame shows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam.engine import FramePart, FrameStack, Tiling
from napari_sam.engine.tiles import fits_at_once, reduction_for


@given(
    frame_shape=st.tuples(st.integers(1, 900), st.integers(1, 900)),
    reduction=st.sampled_from([0.25, 0.5, 1.0, 2.0, 8.0]),
    parts=st.integers(1, 6),
)
def test_every_pixel_is_in_one_core_and_cores_are_in_their_windows(
    frame_shape: tuple[int, int], reduction: float, parts: int
) -> None:
    tiling = Tiling.of(frame_shape, reduction, 64, parts)
    owned = np.zeros(frame_shape, int)
    tiles = list(tiling)
    assert [tile.nth for tile in tiles] == list(range(len(tiling)))
    for tile in tiles:
        y0, x0, y1, x1 = tile.core
        owned[y0:y1, x0:x1] += 1
        top, left, bottom, right = tile.window
        assert 0 <= top <= y0 < y1 <= bottom <= frame_shape[0]
        assert 0 <= left <= x0 < x1 <= right <= frame_shape[1]
        assert max(bottom - top, right - left) <= (parts + 2) * tiling.halo
        assert tile.owns((y0, x0))
        assert not tile.owns((y1, x0))
    assert (owned == 1).all()


@given(st.data())
def test_the_tiles_of_a_window_are_those_whose_cores_it_shares(data: st.DataObject) -> None:
    tiling = Tiling.of((300, 200), 1.0, 64)
    y0, y1 = sorted(data.draw(st.tuples(st.integers(0, 299), st.integers(0, 299))))
    x0, x1 = sorted(data.draw(st.tuples(st.integers(0, 199), st.integers(0, 199))))
    window = (y0, x0, y1 + 1, x1 + 1)
    shares = [
        tile
        for tile in tiling
        if tile.core[0] <= y1 and tile.core[1] <= x1 and tile.core[2] > y0 and tile.core[3] > x0
    ]
    assert list(tiling.within(window)) == shares


@pytest.mark.parametrize(
    ("cell_size", "reduction"), [(1, 0.25), (20, 0.5), (30, 1), (55, 1), (60, 2), (1000, 32)]
)
def test_cells_get_a_size_that_networks_know(cell_size: float, reduction: float) -> None:
    assert reduction_for(cell_size) == reduction


@pytest.mark.parametrize(
    ("side", "reduction", "at_once"),
    [(1024, 0.25, True), (1025, 0.5, False), (1500, 1, True), (1600, 1, False), (6000, 4, True)],
)
def test_a_frame_that_is_hardly_too_large_is_one_piece(
    side: int, reduction: float, at_once: bool
) -> None:
    assert fits_at_once((300, side), reduction, 1024) == at_once


class Counted:
    """An array that notes how many pixels were read of it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.read = array, 0
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, where: object) -> np.ndarray:
        part = self.array[where]
        self.read += part.size
        return part


def pyramid(pixels: np.ndarray, n: int) -> Iterator[Counted]:
    for power in range(n):
        yield Counted(pixels[..., :: 2**power, :: 2**power])


@pytest.mark.parametrize(
    ("reduction", "level"), [(0.5, 0), (1, 0), (2, 1), (3, 1), (4, 2), (64, 2)]
)
def test_a_part_reads_its_pixels_only_and_of_one_level(reduction: float, level: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 256, 256), np.uint8)
    levels = list(pyramid(pixels, 3))
    stack = FrameStack.from_array(levels, axes="TYX", limits=(0, 255))
    frame = stack.index(1)
    part = FramePart.of(stack, frame, (64, 128, 192, 192), reduction)
    shown = part.frame(frame)
    assert [each.read for each in levels] == [128 * 64 // 4**level * (n == level) for n in range(3)]
    assert part.frame_shape_of(frame) == (128, 64)
    assert part.input_side(frame) == round(128 / reduction)
    if reduction < 64:
        step = 2**level
        np.testing.assert_array_equal(shown[..., 0], pixels[1, 64:192:step, 128:192:step])


@pytest.mark.parametrize(("axes", "shape"), [("CYX", (3, 50, 60)), ("YXC", (50, 60, 3))])
def test_a_part_has_the_colours_of_the_frame(axes: str, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    stack = FrameStack.from_array(pixels, axes=axes)
    frame = next(stack.indices())
    part = FramePart.of(stack, frame, (10, 20, 30, 60), 1.0)
    np.testing.assert_array_equal(part.frame(frame), stack.frame(frame)[10:30, 20:60])
