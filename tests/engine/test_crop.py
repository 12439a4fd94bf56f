"""Crops of large frames: their grid, and the pixels that are read of any level."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam.engine import Crop, FrameStack, whole
from napari_sam.engine.crop import WHOLE, crop_around

SIDES = st.integers(1, 30_000)


@given(
    st.tuples(SIDES, SIDES),
    st.sampled_from([256, 512, 1024, 4096]),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.floats(0, 3000),
)
def test_a_crop_holds_what_it_was_made_for(frame_shape, side, share, extent) -> None:
    y, x = (at * (size - 1) for at, size in zip(share, frame_shape, strict=True))
    y1, x1 = (min(at + extent, n - 1) for at, n in zip((y, x), frame_shape, strict=True))
    crop = crop_around((y, x, y1, x1), side, frame_shape)
    assert crop.top <= y <= y1 < crop.bottom
    assert crop.left <= x <= x1 < crop.right
    assert crop.bottom <= frame_shape[0]
    assert crop.right <= frame_shape[1]
    assert crop == whole(frame_shape) or side <= crop.long_side < max(frame_shape) / WHOLE


def test_neighbours_share_a_crop() -> None:
    places = {
        crop_around((y, x, y, x), 1024, (20_000, 20_000))
        for y in range(9_000, 10_000, 50)
        for x in range(9_000, 10_000, 50)
    }
    assert len(places) == 4


def picture(height: int, width: int) -> np.ndarray:
    """Every pixel has its own value, rising along both axes."""
    return np.add.outer(np.arange(height) * 3, np.arange(width)).astype(np.uint16)


def test_a_crop_of_the_finest_level_is_its_pixels_with_the_contrast_of_the_frame() -> None:
    pixels = picture(3000, 2000)
    stack = FrameStack.from_array(pixels, limits=(0, 65535))
    crop = Crop(500, 300, 1500, 1200)
    expected = stack.frame(stack.index(), long_side=None)[500:1500, 300:1200]
    np.testing.assert_array_equal(stack.crop(stack.index(), crop), expected)

    robust = FrameStack.from_array(pixels)
    low, high = robust.overall_limits(robust.index())[0]
    assert 0 <= low < 0.03 * pixels.max()
    assert 0.95 * pixels.max() < high <= pixels.max()
    dark = robust.crop(robust.index(), Crop(0, 0, 300, 300))
    assert dark.max() < 50, "not stretched by itself"


@pytest.mark.parametrize("size", [(1000, 1500), (999, 1501), (334, 501)])
def test_a_coarse_level_shows_the_same_place(size: tuple[int, int]) -> None:
    """A ramp in full pixels is the same ramp in any level: its factor, and half a pixel."""
    full = (2000, 3000)
    ys, xs = ((np.arange(n) + 0.5) * whole / n - 0.5 for n, whole in zip(size, full, strict=True))
    levels = [np.broadcast_to(np.arange(3000.0), full), np.broadcast_to(xs, size)]
    tall = [np.broadcast_to(np.arange(2000.0)[:, None], full), np.broadcast_to(ys[:, None], size)]
    crop = Crop(300, 500, 1300, 1500)
    for arrays, axis, start in ((levels, 1, 500), (tall, 0, 300)):
        stack = FrameStack.from_array(arrays, rgb=False, limits=(start, start + 1000))
        seen = stack.crop(stack.index(), crop, long_side=int(1000 * size[1] / 3000) - 1)[..., 0]
        seen = seen.mean(1 - axis)
        n = len(seen)
        assert n == pytest.approx(1000 * size[axis] / full[axis], abs=1)
        expected = ((np.arange(n) + 0.5) * 1000 / n - 0.5) * 255 / 1000
        off = (seen - expected)[2:-2]  # in levels of grey, of 4 pixels each
        assert np.abs(off).max() <= 1
        assert np.abs(off.mean()) < 0.4, "half a pixel of the coarsest level is 0.75"


@pytest.mark.slow
def test_a_large_crop_is_read_at_about_the_size_of_the_input() -> None:
    stack = FrameStack.from_array(picture(6000, 9000))
    crop = Crop(1000, 3000, 5001, 9000)
    seen = stack.crop(stack.index(), crop)
    assert 1024 <= max(seen.shape) <= 4 * 1024
    whole_frame = stack.crop(stack.index(), crop, long_side=None)
    assert whole_frame.shape == (4001, 6000, 3)
    assert seen.mean() == pytest.approx(whole_frame.mean(), abs=0.5)


def test_only_the_chunks_of_a_crop_are_read() -> None:
    read = []

    def block(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return picture(512, 512)

    array = da.map_blocks(block, chunks=((512,) * 40, (512,) * 40), dtype=np.uint16)
    stack = FrameStack.from_array(array)
    stack.overall_limits(stack.index())
    assert len(read) <= 81, "a sample of 1600 chunks"
    read.clear()
    assert stack.crop(stack.index(), Crop(1024, 2048, 2048, 3072)).shape == (1024, 1024, 3)
    assert sorted(read) == [(2, 4), (2, 5), (3, 4), (3, 5)]


@pytest.mark.slow
def test_what_lies_between_the_samples_of_an_empty_frame_is_found() -> None:
    """Else all of it would be shown black."""
    array = da.zeros((20480, 20480), chunks=(2048, 2048), dtype=np.uint16)
    array[4200:4850, 7400:8050] = 900
    stack = FrameStack.from_array(array)
    assert stack.overall_limits(stack.index()) == ((0.0, 900.0),)
